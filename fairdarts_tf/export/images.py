"""The images that an export needs: some to verify with, on which no weight was trained, and some to calibrate by."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import numpy as np

from fairdarts_tf import data
from fairdarts_tf.data.sources import Images, find_dataset, stored
from fairdarts_tf.errors import DataError, RunError
from fairdarts_tf.evaluation.images import check_fit, form_for
from fairdarts_tf.found_network import FoundNetwork
from fairdarts_tf.runs import Run
from fairdarts_tf.settings_checks import values_of
from fairdarts_tf.training.settings import TrainSettings

CALIBRATION_IMAGES = 200
_OF_IMAGES = ("resize_size", "classes", "storage")


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """A data set for a network, and which of its images the network was trained on.

    Attributes:
        dataset: Its name.
        trained_dataset: The name of the one that the network was trained on; empty: the same.
        data_dir: Where tensorflow-datasets keeps it; empty: its own default.
        download: Whether it may be downloaded.
        validation_portion: The share of the training split that was held back from the training.
        seed: Chose those images.
        data: The other settings of the training's images by name, as ``classes``; empty: their defaults.
    """

    dataset: str
    trained_dataset: str = ""
    data_dir: str = ""
    download: bool = False
    validation_portion: float = 0.0
    seed: int = 0
    data: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_run(
        cls, workdir: str | os.PathLike[str], found: FoundNetwork, dataset: str = "", data_dir: str = ""
    ) -> ImageSource:
        """Returns a run's own source, with what is given in place of what the run recorded.

        Raises:
            DataError: When neither the run nor the network names a data set.
            RunError: When the run's ``flags.txt`` holds no such settings.
        """
        settings = Run(workdir).settings() or {}
        trained = settings.get("dataset") or found.dataset
        name = dataset or trained
        if not name:
            raise DataError(f"which images? {workdir} does not say what it was trained on. Name it with --dataset.")
        try:
            return cls(
                name,
                trained,
                data_dir or settings.get("data_dir", ""),
                settings.get("download", "false") == "true",
                float(settings.get("validation_portion", 0)),
                int(settings.get("seed", 0)),
                values_of(TrainSettings, {key: settings[key] for key in _OF_IMAGES if key in settings}),
            )
        except ValueError as error:
            raise RunError(
                f"{workdir}: flags.txt has a validation_portion or seed that is no number. Mend it."
            ) from error

    def held_back(self, found: FoundNetwork, count: int, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """Returns images that no weight was trained on, (N, height, width, channels), uint8, and their labels.

        Args:
            found: The network that they are for.
            count: How many, chosen at random but always the same; all where there are fewer.
            split: Of ``"train"``, only what was held back from the training, by which a best epoch was chosen.
                Defaults to ``"test"``.

        Raises:
            DataError: When the data set cannot be loaded, does not fit the network, or held back nothing of
                ``"train"``, as another than the run's never did.
        """
        if split == "train" and not self._is_own:
            raise DataError(
                f"of the split 'train' only what the run held back verifies anything, which is of its own data set, "
                f"{self.trained_dataset!r}, and not of {self.dataset!r}. Leave --dataset out, or choose another "
                "--split."
            )
        listed = self._listed(found, split)
        indices = self._training_parts(listed)[1] if split == "train" else np.arange(len(listed))
        if not len(indices):
            raise DataError(
                "all images of the split 'train' were trained on, so that they verify nothing. Choose another --split."
            )
        images = self._load(found, listed, some(indices, count))
        return images.central(), images.labels

    def trained_on(self, found: FoundNetwork, count: int = CALIBRATION_IMAGES) -> np.ndarray:
        """Returns some of the images that the network was trained on; arguments and errors as of `held_back`.

        Of a data set that is not the run's, they are any of its training images.
        """
        listed = self._listed(found, "train")
        indices = self._training_parts(listed)[0] if self._is_own else np.arange(len(listed))
        return self._load(found, listed, some(indices, count)).central()

    def describe_calibration(self) -> str:
        """Returns, for people, which images those of `trained_on` are."""
        if self._is_own:
            return f"images of {self.dataset} that the network was trained on"
        return f"training images of {self.dataset}, while the network was trained on {self.trained_dataset}"

    @property
    def _is_own(self) -> bool:
        return self.trained_dataset in ("", self.dataset)

    def _training_parts(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Returns which of the training split was trained on, and which held back."""
        return data.held_back(images.labels, self.validation_portion, self.seed)

    def _listed(self, found: FoundNetwork, split: str) -> Images:
        return find_dataset(
            self.dataset,
            split,
            form_for(found.image_shape, self.data),
            data_dir=self.data_dir or None,
            download=self.download,
            classes=self.data.get("classes", ()),
        )

    def _load(self, found: FoundNetwork, listed: Images, chosen: np.ndarray) -> Images:
        images = stored(listed.subset(chosen), form_for(found.image_shape, self.data), self.dataset)
        check_fit(images, found.class_names, found.image_shape)
        return images


def some(indices: np.ndarray, count: int) -> np.ndarray:
    """Returns some indices, always the same: the first ones may all be of one class."""
    chooser = np.random.Generator(np.random.PCG64(0))
    return np.sort(chooser.permutation(indices)[:count])
