"""What a run leaves on the disk, and how it comes back: folder, rows, checkpoints, provenance.

Files only: nothing here knows an algorithm, an environment or a driver.
"""

from bellmax.runs.checkpoints import Checkpoints, load, read_header, save, step_of
from bellmax.runs.disk import RunFolderError
from bellmax.runs.folder import RunFolder, list_runs
from bellmax.runs.provenance import provenance
from bellmax.runs.sinks import MLflow, TensorBoard, WeightsAndBiases
from bellmax.runs.tensors import DamagedCheckpoint, WrongCheckpoint

__all__ = [
    "Checkpoints",
    "DamagedCheckpoint",
    "MLflow",
    "RunFolder",
    "RunFolderError",
    "TensorBoard",
    "WeightsAndBiases",
    "WrongCheckpoint",
    "list_runs",
    "load",
    "provenance",
    "read_header",
    "save",
    "step_of",
]
