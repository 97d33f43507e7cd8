from gatekeeper.transparency import Refusal


def test_every_refusal_has_a_code_of_its_own_and_a_sentence():
    assert len(Refusal.__members__) == len(list(Refusal)), "two refusals share a code"
    for refusal in Refusal:
        assert refusal == refusal.name.lower().replace("_", "-")
        assert Refusal(str(refusal)) is refusal
        assert refusal.sentence[0].isupper()
        assert refusal.sentence.endswith(".")
    assert len({refusal.sentence for refusal in Refusal}) == len(Refusal)
