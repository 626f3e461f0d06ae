"""From images to numbers: the one inference path, without fastai."""
import os
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..data.images import PictureError, Unused, describe_broken, fit_images, warn_broken, warn_unused
from ..data.images.levels import Levels, compare_levels
from ..tasks import Array, Task
from ..utils.messages import ImgregError, progress_bar, warn
from .conformal import Calibration
from .inputs import Inputs, numbered, resolve_inputs
from .merging import ModelPredictions
from .tta import Move, average_moves, moves_for

if TYPE_CHECKING:
    from torch import nn


class NetworkOutput(NamedTuple):
    """What a network puts out for n images.

    Args:
        outputs: Array [n, n_out].
        views: Which part of each image the network was shown, array [n, 4], see tasks.geometry.
        broken: {position: PictureError} of the images that could not be opened, which are not among the n.
        features: Array [n, F], on request.
        difficulty: Of a calibrated model, array [n, m] in units, see Calibration.assess.
        ood: Of a calibrated model, out-of-distribution flags of images, bool array [n].
        moved_outputs: On request, the outputs after each of the k moves_for the task, array [n, k, n_out].
    """

    outputs: Array
    views: Array
    broken: dict[int, PictureError]
    features: Array = None
    difficulty: Array = None
    ood: Array = None
    moved_outputs: Array = None


@dataclass
class Predictor:
    """A trained network and all that it takes to use it.

    Args:
        task: The completed task.
        network: Torch modules (body, head); together images [n, 3, h, w] -> outputs [n, task.n_out].
        about: The JSON of the model file, see model_file.model_metadata.
        device: Where the network is.
        calibration: What intervals come from, if the model is calibrated.
    """

    task: Task = field(repr=False)
    network: "nn.Sequential" = field(repr=False)
    about: dict = field(repr=False)
    device: str = "cpu"
    calibration: Calibration | None = field(default=None, repr=False)

    def predict(self, pictures: Any, boxes: Any = None, *, bs: int = 64, quiet: bool = False, expand: bool = True,
                coverage: float | None = None, tta: bool = False, tell: bool = True,
                joint: bool = False) -> pd.DataFrame:
        """Predict for one image or many. Images that cannot be opened are left out, with a warning.

        Args:
            pictures: Paths, folders, globs, bytes, open files, Pillow images, tensors or arrays; a batch [n, h, w, 3]
                or [n, 3, h, w] of them; or the path of a table of images, or a DataFrame, with the columns of the box
                where the task has one. Arrays [h, w], [h, w, 3] or [3, h, w], in the order red, green, blue, are uint8
                from 0 to 255, uint16, or floats from 0 to 1; with a `value_range` of the task, numbers in its units.
            boxes: For a task with boxes, array [n, 4] or [4] in pixels: centre x, centre y, width, height.
            bs: Batch size.
            quiet: Whether to show no progress bar.
            expand: Whether folders and globs stand for the images in them. If not, `pictures` is a list of images,
                and the index of the result holds the position of each in it.
            coverage: Of the intervals of a calibrated model; by default the coverage it was calibrated for.
            tta: Whether to average over moved copies of each image, see tta.moves_for. The intervals are those of
                the image as it is.
            tell: Whether to warn of what is not used of the images, and of a brightness far from that of the training.
            joint: Whether intervals are to hold for all values of an image at once.

        Returns:
            `image` (its path, or its position where it has none) and one column for each value in units; of a
            calibrated model also the columns of `intervals`.

        Raises:
            PictureError: If no image can be opened.
            ImgregError: For boxes, a coverage or TTA that do not suit the model.
        """
        inputs = resolve_inputs(pictures, boxes, self.task) if expand else Inputs(pictures, boxes)
        coverage = self.check_options(coverage, tta, joint)
        opened, models = self.predict_each(inputs.sources, inputs.boxes, bs=bs, quiet=quiet, tta=tta, tell=tell)
        frame = inputs.with_table_names(self.merge(inputs.sources, opened, models, coverage, joint))
        return frame.reset_index(drop=True) if expand else frame

    def predict_each(self, sources: list, boxes: Any = None, *, bs: int = 64, quiet: bool = False,
                     tta: bool = False, tell: bool = True) -> tuple[Array, list[ModelPredictions]]:
        """Predict for a list of images, without intervals; arguments as for `predict`.

        Returns:
            The positions of the images that can be opened, and the predictions for them: a list of one, as there is
            one model.
        """
        output = self.predict_outputs(sources, self.check_boxes(boxes, len(sources)), bs, quiet, tta=tta, tell=tell)
        if len(output.broken) == len(sources):
            errors = list(output.broken.values())
            if len(errors) == 1:
                raise errors[0]
            raise PictureError("images that can be opened", f"none among {len(errors)}: {describe_broken(errors)}")
        opened = np.array([i for i in range(len(sources)) if i not in output.broken])
        return opened, [self.model_predictions(output)]

    def merge(self, sources: list, opened: Array, models: list[ModelPredictions],
              coverage: float | None = None, joint: bool = False) -> pd.DataFrame:
        """Return what `predict_each` returned for `sources` as `predict` does, with `opened` as its index."""
        intervals = self.intervals(models[0], coverage, joint)
        columns = {"image": name_sources(sources, opened), **models[0].values, **intervals}
        return pd.DataFrame(columns, index=opened)

    def model_predictions(self, output: NetworkOutput) -> ModelPredictions:
        """Return an output of the network as predictions."""
        return ModelPredictions(self.task, self.decode(output), output.difficulty, output.ood, self.calibration)

    def check_boxes(self, boxes: Any, n: int) -> np.ndarray | None:
        """Return the boxes of `n` images as an array [n, 4], or None if the task has no boxes.

        Raises:
            ImgregError: If the task has boxes, and these are not one for each image.
        """
        if not self.task.box:
            return None
        array = np.atleast_2d(np.asarray([] if boxes is None else boxes, float))
        if array.shape != (n, 4):
            expected = f"a box for each of {n} images: this model was trained on {', '.join(self.task.box)}"
            raise ImgregError(expected, "none" if boxes is None else f"an array {array.shape}",
                              "a table with these columns and image in place of the images, or boxes= in Python")
        return array

    def check_options(self, coverage: float | None = None, tta: bool = False, joint: bool = False) -> float | None:
        """Raise ImgregError before the work where there are no such intervals or moves; return `resolve_coverage`."""
        if tta:
            moves_for(self.task)
        coverage = self.resolve_coverage(coverage)
        if joint:
            if self.calibration is None or coverage is None:
                raise ImgregError("--joint with a model that has intervals", "one that was not calibrated",
                                  "imgreg train with --calibrate SHARE")
            self.calibration.joint_quantiles(coverage)  # raises for a coverage that is too high
        return coverage

    def resolve_coverage(self, coverage: float | None = None) -> float | None:
        """Return the coverage of the intervals: `coverage`, or that of the calibration; None without a calibration.

        Raises:
            ImgregError: If the model has no intervals of this coverage.
        """
        if self.calibration is None:
            if coverage is not None:
                raise ImgregError("--coverage with a model that has intervals", "one that was not calibrated",
                                  "imgreg train with --calibrate SHARE")
            return None
        if coverage is None:
            coverage = self.about["calibration"]["coverage"]
        self.calibration.quantiles(coverage)  # raises for a coverage that is too high
        return coverage

    def predict_outputs(self, sources: list, boxes: np.ndarray | None = None, bs: int = 64, quiet: bool = False,
                        features: bool = False, tta: bool = False, tell: bool = False) -> NetworkOutput:
        """Send the images that can be opened through the network. The others are named in a warning.

        Args:
            sources: Images as `predict` takes them, without folders and globs.
            boxes: Array [n, 4], see `predict`.
            bs: Batch size.
            quiet: Whether to show no progress bar.
            features: Whether to return features.
            tta: Whether to return the outputs for moved copies.
            tell: See `predict`.
        """
        moves = moves_for(self.task) if tta else []
        pictures = fit_images(sources, self.task, boxes)
        if not quiet:
            pictures = progress_bar(pictures, len(sources), f"predicting {len(sources)} images")
        broken: dict[int, PictureError] = {}
        looks: dict[str, tuple[str, Levels | None, Unused]] = {}  # by the whole path: folders share names of files
        batches, positions = [], enumerate(pictures)
        while batch := list(islice(positions, bs)):
            broken.update((i, _with_number(picture, sources[i], i)) for i, picture in batch
                          if isinstance(picture, PictureError))
            opened = [picture for _, picture in batch if not isinstance(picture, PictureError)]
            for i, picture in batch if tell else ():
                if not isinstance(picture, PictureError):
                    path = numbered(sources[i], i)
                    looks[path] = os.path.basename(path), picture.levels, picture.unused
            if opened:
                batches.append(self._batch_output(opened, features, moves))
        if len(broken) < len(sources):
            warn_broken(list(broken.values()), len(sources))
        if looks:
            names, levels, unused = zip(*looks.values(), strict=True)
            warn_unused(names, unused, len(looks))
            for line in compare_levels(names, levels, self.about.get("levels", {})):
                warn(line)
        if not batches:
            n_intervals = len(self.task.interval_columns)
            return NetworkOutput(np.empty((0, self.task.n_out), np.float32), np.empty((0, 4)), broken,
                                 difficulty=np.empty((0, n_intervals)), ood=np.empty(0, bool))
        fields: list[Array] = [np.concatenate(parts) if isinstance(parts[0], np.ndarray) else None
                               for parts in zip(*batches, strict=True)]
        return NetworkOutput(*fields)._replace(broken=broken)

    def _batch_output(self, pictures: list, features: bool, moves: list[Move]) -> NetworkOutput:
        """Send one batch of fitted images, none of them broken, through the network; if asked, moved copies of them."""
        pixels, views = np.stack([p.pixels for p in pictures]), np.stack([p.view for p in pictures])
        outputs, feature_array = self.forward(pixels)
        difficulty = ood_flags = moved_outputs = None
        if self.calibration:
            uncertainty, error_scales = self.uncertainty(outputs, feature_array), self.task.error_scales(views)
            difficulty, ood_flags = self.calibration.assess(feature_array, outputs, uncertainty, error_scales)
        if moves:  # moves[0] changes nothing: its outputs are there
            moved_outputs = np.stack([outputs, *(self.forward(move.apply(pixels))[0] for move in moves[1:])], axis=1)
        return NetworkOutput(outputs, views, broken={}, features=feature_array if features else None,
                             difficulty=difficulty, ood=ood_flags, moved_outputs=moved_outputs)

    def forward(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Send fitted images, uint8 [n, h, w, 3], through the network: -> outputs [n, n_out], features [n, F]."""
        import torch

        x = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float().div_(255)
        mean, std = (torch.tensor(self.about[k], device=x.device).view(1, 3, 1, 1) for k in ("mean", "std"))
        body, head = self.network
        with torch.inference_mode():
            features = body(((x - mean) / std).contiguous(memory_format=torch.channels_last))
            return head(features).cpu().numpy(), features.float().cpu().numpy()

    def uncertainty(self, outputs: Array, features: Array) -> Array:
        """Return what outputs [n, n_out] and features [n, F] tell about their own error, [n, any number]."""
        of_outputs = self.task.uncertainty_features(outputs)
        point_spreads = getattr(self.network[0], "point_spreads", None)  # of a BodyWithMaps
        return np.hstack([of_outputs, point_spreads(features)]) if point_spreads else of_outputs

    def decode(self, output: NetworkOutput) -> dict[str, np.ndarray]:
        """Decode outputs to {column: values [n] in units}, averaged over the moves of TTA where there are any."""
        if output.moved_outputs is None:
            values = self.task.decode(output.outputs, output.views)
        else:
            values = average_moves(self.task, output.moved_outputs, output.views)
        return {column: values[t.name][:, i] for t in self.task.targets for i, column in enumerate(t.columns)}

    def intervals(self, output: NetworkOutput | ModelPredictions, coverage: float | None = None,
                  joint: bool = False) -> dict[str, Array]:
        """Compute the intervals and OOD flags of images.

        Args:
            output: Of the network, or the predictions made of it.
            coverage: By default the coverage that the model was calibrated for.
            joint: Whether they are to hold for all values of an image at once.

        Returns:
            {interval column: half-widths [n] in units} and `ood`, flags [n]; {} without a calibration.
        """
        coverage = self.resolve_coverage(coverage)
        if self.calibration is None or coverage is None:
            return {}
        calibration = self.calibration
        quantiles = calibration.joint_quantiles(coverage) if joint else calibration.quantiles(coverage)
        half_widths = output.difficulty * quantiles
        return {**dict(zip(self.task.interval_columns, half_widths.T, strict=True)), "ood": output.ood}


def name_sources(sources: list, opened: Array) -> list:
    """Name the images at these positions: their paths, or their positions where they have none."""
    return [str(sources[i]) if isinstance(sources[i], (str, os.PathLike)) else int(i) for i in opened]


def _with_number(error: PictureError, source: Any, number: int) -> PictureError:
    """Return the error of an image without a path with its number."""
    if isinstance(source, (str, os.PathLike)):
        return error
    reason = (error.actual or "").removeprefix(f"'{type(source).__name__}': ")
    return PictureError(error.expected, f"'{numbered(source, number)}': {reason}", error.hint)
