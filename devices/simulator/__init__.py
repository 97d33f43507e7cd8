"""A barracks that lives: people of an example site who walk through real gates with real badges."""
