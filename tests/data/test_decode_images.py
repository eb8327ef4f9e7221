"""What an image file becomes: orientation, transparency, grey and colour, sizes, damage."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dlrun.data.images.decode import (
    ORIENTATION,
    BrokenImageError,
    decode,
    highest_value,
    read_header,
)
from dlrun.data.preprocessing import from_entry, to_entry
from dlrun.data.preprocessing.images import Images
from photos import write_image

SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".gif")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_format_gives_pillows_pixels(tmp_path, suffix):
    options = {"lossless": True} if suffix == ".webp" else {}
    path = write_image(tmp_path / f"a{suffix}", size=(16, 24), **options)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert read_header(path)[:2] == (16, 24)
    np.testing.assert_array_equal(decode(path, Images(16, 24, 3)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_camera_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    y, x = np.mgrid[0:160, 0:240]
    smooth = np.stack([y, x, (x + y) // 2], axis=-1).astype(np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth).save(path, exif=exif, quality=95)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        expected = np.asarray(upright)
    height, width = expected.shape[:2]
    assert read_header(path)[:2] == (height, width)
    np.testing.assert_array_equal(decode(path, Images(height, width, 3)), expected)
    # Smaller, decoded at half of its size: close to the exact average of each four pixels.
    small = decode(path, Images(height // 2, width // 2, 3)).astype(float)
    blocks = expected.astype(float).reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - blocks).mean() < 3


@pytest.mark.parametrize(("background", "shade"), [("white", 255), ("black", 0)])
def test_transparent_pixels_show_the_background(tmp_path, background, shade):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[:2, :, 3] = 255
    Image.fromarray(pixels).save(path := tmp_path / "a.png")
    image = decode(path, Images(4, 4, 3, background=background))
    assert image[:2].tolist() == np.full((2, 4, 3), [200, 0, 0]).tolist()
    assert (image[2:] == shade).all()


def test_grey_and_colour(tmp_path):
    colour = write_image(tmp_path / "colour.png", mode="RGB")
    grey = write_image(tmp_path / "grey.png", mode="L")
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    Image.fromarray(deep).save(sixteen := tmp_path / "sixteen.png")
    assert [read_header(path).is_grey for path in (colour, grey, sixteen)] == [False, True, True]
    image = decode(grey, Images(20, 20, 3))
    assert (image == image[..., :1]).all()
    red, green, blue = np.moveaxis(decode(colour, Images(20, 20, 3)).astype(float), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R 601
    assert np.abs(decode(colour, Images(20, 20, 1))[..., 0] - luma).max() <= 1
    assert decode(sixteen, Images(16, 16, 1))[..., 0].tolist() == (deep >> 8).tolist()


def test_values_of_fewer_bits_are_spread_and_higher_ones_refused(tmp_path):
    deep = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(deep).save(path := tmp_path / "twelve.png")
    assert read_header(path).is_deep
    assert not read_header(write_image(tmp_path / "grey.png", mode="L")).is_deep
    assert highest_value(path) == 4080
    for bits in (12, 14, 16):
        image = decode(path, Images(16, 16, 1, bits=bits))[..., 0]
        assert image.tolist() == (deep >> (bits - 8)).tolist()
    with pytest.raises(BrokenImageError, match=r"value is 4,080, and data\.bits=11 has no such"):
        decode(path, Images(16, 16, 1, bits=11))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("resize", ["stretch", "fit_pad", "crop"])
def test_ways_to_resize(tmp_path, suffix, resize):
    path = tmp_path / f"a{suffix}"
    ramp = np.zeros((100, 200, 3), np.uint8)
    ramp[:, 50:150] = 255  # the middle half is white
    Image.fromarray(ramp).save(path)
    image = decode(path, Images(40, 40, 3, resize, "black"))[..., 0].astype(int)
    white = (image > 128).sum(axis=1)
    if resize == "stretch":
        assert (white == 20).all()
    elif resize == "crop":
        assert (white == 40).all()
    else:
        assert [(row == 0).all() for row in image] == [*[True] * 10, *[False] * 20, *[True] * 10]
        assert (white[12:28] == 20).all()


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert decode(tmp_path / "a.gif", Images(8, 8, 3))[0, 0].tolist() == [255, 0, 0]


def damaged(folder: Path) -> dict[str, Path]:
    whole = write_image(folder / "whole.jpg", size=(64, 64)).read_bytes()
    contents = {
        "cut.jpg": whole[: len(whole) // 2],
        "text.png": b"a text",
        "empty.png": b"",
        "header.jpg": whole[:20],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def test_a_damaged_file_is_named(tmp_path):
    for path in damaged(tmp_path).values():
        with pytest.raises(BrokenImageError) as caught:
            decode(path, Images(16, 16, 3))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_saved_form_is_the_same_and_a_damaged_one_is_refused(tmp_path):
    form = Images(16, 24, 1, "crop", "black")
    entry = to_entry(form)
    assert from_entry(entry) == form
    for key, value in (
        ("height", 0), ("width", 10**9), ("channels", 2), ("channels", True), ("resize", ["crop"]),
        ("background", "red"), ("height", 1.5),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="images"):
            from_entry({**entry, "state": {**entry["state"], key: value}})
    arrays = np.zeros((2, 16, 24, 1), np.uint8)
    assert form.apply(arrays) is arrays
    with pytest.raises(ValueError, match="expected"):
        form.apply(np.zeros((2, 8, 8, 1), np.uint8))
