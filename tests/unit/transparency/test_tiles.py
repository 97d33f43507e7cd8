import pytest

from gatekeeper.transparency import (
    BundleCoordinates,
    MissingTileError,
    Refusal,
    Refused,
    Tile,
    TileCoordinates,
    TileHashes,
    Tree,
    bundle_path,
    format_bundle,
    node_hash_from_tiles,
    parse_bundle,
    parse_bundle_path,
    parse_tile_path,
    tile_coordinates,
    tile_path,
)
from tests.unit.transparency.oracle import leaves, naive_root

PATHS = [
    ("tile/0/x001/x234/067", 0, 1234067, 256),
    ("tile/0/000", 0, 0, 256),
    ("tile/0/000.p/1", 0, 0, 1),
    ("tile/0/273.p/112", 0, 273, 112),
    ("tile/1/x001/000", 1, 1000, 256),
    ("tile/63/999.p/255", 63, 999, 255),
    ("tile/7/x999/999", 7, 999999, 256),
]


@pytest.mark.parametrize(("path", "level", "index", "width"), PATHS)
def test_a_tile_has_the_path_that_the_specification_gives_it(path: str, level: int, index: int, width: int):
    tile = TileCoordinates(level=level, index=index, width=width)
    assert tile_path(tile) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/entries/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001/x001",
        "tile/0/X001/001",
        "tile/0/001.p/0",
        "tile/0/001.p/01",
        "tile/0/001.p/256",
        "tile/0/001.p/999",
        "tile/0/001.p/",
        "tile/0/001.p",
        "tile/0/\u0660\u0660\u0661",
        "tile/0/" + "x001/" * 7 + "001",
    ],
)
def test_a_tile_path_of_another_spelling_is_refused(path: str):
    assert parse_tile_path(path) == Refused(code=Refusal.TILE_PATH)


@pytest.mark.parametrize(
    ("path", "index", "width"),
    [("tile/entries/x001/x234/067", 1234067, 256), ("tile/entries/000.p/7", 0, 7)],
)
def test_an_entry_bundle_has_a_path_of_its_own(path: str, index: int, width: int):
    bundle = BundleCoordinates(index=index, width=width)
    assert bundle_path(bundle) == path
    assert parse_bundle_path(path) == bundle


@pytest.mark.parametrize(
    "path", ["tile/0/000", "tile/entries/0", "tile/entries/x000/000", "tile/entries/000.p/256", "entries/000"]
)
def test_a_bundle_path_of_another_spelling_is_refused(path: str):
    assert parse_bundle_path(path) == Refused(code=Refusal.TILE_PATH)


def test_seventy_thousand_leaves_have_the_tiles_that_the_specification_lists():
    tiles = list(tile_coordinates(70_000))
    assert [tile.width for tile in tiles if tile.level == 0] == [256] * 273 + [112]
    assert [tile.width for tile in tiles if tile.level == 1] == [256, 17]
    assert [tile.width for tile in tiles if tile.level == 2] == [1]
    assert {tile.level for tile in tiles} == {0, 1, 2}


def test_a_full_tile_is_one_hash_of_the_level_above():
    assert list(tile_coordinates(256)) == [
        TileCoordinates(level=0, index=0),
        TileCoordinates(level=1, index=0, width=1),
    ]
    assert list(tile_coordinates(0)) == []


@pytest.mark.parametrize(
    ("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_without_a_path_cannot_be_made(level: int, index: int, width: int):
    with pytest.raises(ValueError, match="level from 0 to 63"):
        Tile(level=level, index=index, width=width, hashes=bytes(32 * width))


def test_a_tile_is_as_wide_as_it_says():
    with pytest.raises(ValueError, match="32 bytes for each"):
        Tile(level=0, index=0, width=2, hashes=bytes(32))


@pytest.mark.parametrize("index_and_width", [(-1, 1), (0, 0), (0, 257)])
def test_a_bundle_without_a_path_cannot_be_made(index_and_width: tuple[int, int]):
    index, width = index_and_width
    with pytest.raises(ValueError, match="entry bundle"):
        BundleCoordinates(index=index, width=width)


def test_a_bundle_is_length_and_bytes_of_each_entry():
    assert format_bundle([b"ab", b"", b"c"]) == b"\x00\x02ab\x00\x00\x00\x01c"
    assert parse_bundle(b"\x00\x02ab\x00\x00\x00\x01c", width=3) == (b"ab", b"", b"c")


def test_the_longest_entry_that_fits_is_65535_bytes():
    longest = bytes(65_535)
    assert parse_bundle(format_bundle([longest]), width=1) == (longest,)
    with pytest.raises(ValueError, match="65536"):
        format_bundle([bytes(65_536)])


@pytest.mark.parametrize(
    ("bundle", "width", "code"),
    [
        (b"", 1, Refusal.BUNDLE_TRUNCATED),
        (b"\x00", 1, Refusal.BUNDLE_TRUNCATED),
        (b"\x00\x02a", 1, Refusal.BUNDLE_TRUNCATED),
        (b"\x00\x01a", 2, Refusal.BUNDLE_TRUNCATED),
        (b"\x00\x01a\x00", 2, Refusal.BUNDLE_TRUNCATED),
        (b"\x00\x01a\x00", 1, Refusal.BUNDLE_TRAILING_BYTES),
        (b"\x00\x01a\x00\x00", 1, Refusal.BUNDLE_TRAILING_BYTES),
    ],
)
def test_a_bundle_of_another_width_is_refused(bundle: bytes, width: int, code: Refusal):
    assert parse_bundle(bundle, width=width) == Refused(code=code)


def test_every_full_node_can_be_read_from_tiles():
    hashes = leaves(700)
    tree = Tree.empty()
    reader = TileHashes([*tree.append(hashes), *tree.partial_tiles()])
    for height in range(10):
        for index in range(700 >> height):
            assert reader.node(height, index) == naive_root(hashes[index << height : (index + 1) << height])


@pytest.mark.parametrize(("height", "index"), [(0, 700), (1, 350), (7, 5), (8, 2), (9, 1), (40, 0)])
def test_a_node_that_is_not_complete_is_missing(height: int, index: int):
    tree = Tree.empty()
    reader = TileHashes([*tree.append(leaves(700)), *tree.partial_tiles()])
    with pytest.raises(MissingTileError):
        reader.node(height, index)


def test_of_two_tiles_at_one_place_the_wider_is_read():
    hashes = leaves(20)
    narrow = Tile(level=0, index=0, width=10, hashes=b"".join(hashes[:10]))
    wide = Tile(level=0, index=0, width=20, hashes=b"".join(hashes))
    assert TileHashes([wide, narrow]).node(0, 19) == hashes[19]


def test_one_tile_is_read_for_one_node():
    asked = []

    def hashes_of(level: int, index: int) -> bytes:
        asked.append((level, index))
        return b"".join(leaves(256))

    assert node_hash_from_tiles(hashes_of, 13, 9) == naive_root(leaves(64)[32:64])
    assert asked == [(1, 1)]
