"""Writes a folder of JPEGs of many sizes, made from real images, in place of ImageNet where that is not at hand.

    python -m benchmarks.mixed_jpegs OUTPUT_DIR --images=2000 --test_images=200

The classes are the photographs that come with scikit-learn and Matplotlib, and an image is a part of one of them. With
--cifar10=DIR, where tensorflow-datasets keeps CIFAR-10, they are its ten: an image is one of CIFAR-10's, scaled up, on
a part of a photograph. Sizes and proportions vary, with a mean near ImageNet's 500 x 375 pixels and 110 kB; grain takes
the place of the detail that is lost in scaling. As in ImageNet some files are grey, CMYK, turned by EXIF, or PNGs whose
names end in .jpg.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SHORT_SIDES = (200, 550)
RATIOS = (3 / 4, 4 / 3, 4 / 3, 3 / 2, 1.0)
"""Of width to height; photographs are wide more often than high."""
QUALITIES = (85, 98)
GRAIN = 8.0
"""Standard deviation, in grey levels."""
ODD_SHARE = 0.002
"""Of each kind of odd file."""

Picture = Callable[[np.random.Generator, tuple[int, int]], Image.Image]


def photographs() -> dict[str, Image.Image]:
    """Returns photographs by name."""
    import matplotlib.cbook
    from sklearn import datasets

    found = {name: Image.fromarray(datasets.load_sample_image(f"{name}.jpg")) for name in ("china", "flower")}
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return found | {"hopper": Image.open(file).convert("RGB")}


def part_of(photograph: Image.Image, chance: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Returns a random part of a photograph, of at least a third of its sides, scaled to a size (width, height)."""
    largest = min(photograph.width / size[0], photograph.height / size[1])
    width, height = (round(length * largest * chance.uniform(1 / 3, 1)) for length in size)
    left, top = chance.integers(photograph.width - width + 1), chance.integers(photograph.height - height + 1)
    box = (left, top, left + width, top + height)
    return photograph.resize(size, Image.Resampling.LANCZOS, box=box)


def on_photograph(
    subject: Image.Image, ground: Image.Image, chance: np.random.Generator, size: tuple[int, int]
) -> Image.Image:
    """Returns a small image, scaled up, on a part of a photograph, with soft edges."""
    picture = part_of(ground, chance, size)
    side = round(min(size) * chance.uniform(0.7, 1))
    margin = max(1, side // 16)
    mask = Image.new("L", (side, side))
    mask.paste(255, (margin, margin, side - margin, side - margin))
    place = tuple(int(chance.integers(length - side + 1)) for length in size)
    large = subject.resize((side, side), Image.Resampling.LANCZOS)
    picture.paste(large, place, mask.filter(ImageFilter.GaussianBlur(margin / 2)))
    return picture


def write_images(folder: Path, pictures: list[tuple[str, Picture]], chance: np.random.Generator) -> None:
    """Writes ``folder/CLASS/NUMBER.jpg`` for each class name and picture."""
    for number, (name, picture) in enumerate(pictures):
        short, ratio = chance.integers(*SHORT_SIDES), chance.choice(RATIOS)
        size = (round(short * max(ratio, 1)), round(short / min(ratio, 1)))
        path = folder / name / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(_with_grain(picture(chance, size), chance), path, chance)


def _with_grain(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    grain = chance.normal(0, GRAIN, (image.height, image.width, 1))
    return Image.fromarray((np.asarray(image) + grain).round().clip(0, 255).astype(np.uint8))


def _save(image: Image.Image, path: Path, chance: np.random.Generator) -> None:
    kind = int(chance.random() / ODD_SHARE)
    options = {"quality": int(chance.integers(*QUALITIES))}
    match kind:
        case 0:
            image.convert("L").save(path, "JPEG", **options)
        case 1:
            image.convert("CMYK").save(path, "JPEG", **options)
        case 2:
            turned = Image.Exif()
            turned[0x0112] = 6
            image.transpose(Image.Transpose.ROTATE_90).save(path, "JPEG", exif=turned, **options)
        case 3:
            image.save(path, "PNG")
        case _:
            image.save(path, "JPEG", **options)


def of_photographs(count: int) -> list[tuple[str, Picture]]:
    """Returns class name and picture of so many parts of photographs."""
    found = photographs()
    names = sorted(found)
    return [
        (name, lambda chance, size, of=found[name]: part_of(of, chance, size))
        for name in (names[number % len(names)] for number in range(count))
    ]


def of_cifar10(data_dir: str, split: str, count: int) -> list[tuple[str, Picture]]:
    """Returns class name and picture of so many of CIFAR-10's images, on parts of photographs."""
    from fairdarts_tf.data import load_dataset

    data, grounds = load_dataset("cifar10", split, data_dir=data_dir), list(photographs().values())
    chosen = np.random.default_rng(0).permutation(len(data))[:count]
    return [
        (
            data.class_names[data.labels[index]],
            lambda chance, size, index=index: on_photograph(
                Image.fromarray(data.images[index]), grounds[index % len(grounds)], chance, size
            ),
        )
        for index in chosen
    ]


def main() -> None:
    """Writes the folder that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--test_images", type=int, default=200)
    parser.add_argument("--cifar10", default="", metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = np.random.default_rng(given.seed)
    for split, count in (("train", given.images), ("test", given.test_images)):
        pictures = of_cifar10(given.cifar10, split, count) if given.cifar10 else of_photographs(count)
        write_images(given.output_dir / split, pictures, chance)


if __name__ == "__main__":
    main()
