"""Models: missing, wrong, failed, or without room."""

from __future__ import annotations

from streamapp.errors.base import ExitCode, StreamappError


class ModelError(StreamappError):
    code = "model_failed"
    exit_code = ExitCode.MODEL_INVALID
    http_status = 503


class ModelMissing(ModelError):
    """No file of any variant of a task is installed."""

    code = "model_missing"


class ModelInvalid(ModelError):
    """A model file is not the one the manifest names. It is never loaded."""

    code = "model_invalid"


class ManifestInvalid(ModelError):
    code = "manifest_invalid"


class DownloadFailed(ModelError):
    code = "download_failed"


class RuntimeMissing(ModelError):
    """The library that runs the models is not installed."""

    code = "runtime_missing"


class ModelInputInvalid(ModelError):
    """A model was handed something of the wrong shape. A fault of the caller's, not of the model."""

    code = "model_input_invalid"
    http_status = 500


class ModelOutOfMemory(ModelError):
    """The device had no room for a model or for what it computes."""

    code = "model_out_of_memory"


class ModelHung(ModelError):
    """A model did not answer in time."""

    code = "model_hung"


class ModelSuspended(ModelError):
    """A model failed too often and is left alone for a while."""

    code = "model_suspended"


class DeviceLost(ModelError):
    """The device whose memory models use does not answer any more, or was never there."""

    code = "device_lost"


class OverBudget(ModelError):
    """A model does not fit into the memory budget beside what must stay."""

    code = "over_budget"
    exit_code = ExitCode.OVER_BUDGET


class EmbeddingMismatch(ModelError):
    """Embeddings of different models were to be compared. Their numbers have nothing to do with each other."""

    code = "embedding_mismatch"
    http_status = 500
