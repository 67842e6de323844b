"""The model under examination: wrapped, captured per call, left exactly as found."""

from heliosight.subject.adapter import adapter
from heliosight.subject.arguments import guess_arguments
from heliosight.subject.building import build_from_path
from heliosight.subject.capture import (
    Calls,
    capture_calls,
    change_inputs,
    change_outputs,
    flat_tensors,
    replaced,
)
from heliosight.subject.checking import check_subject
from heliosight.subject.config import OutputConfig, ScalingConfig, SubjectConfig
from heliosight.subject.examine import doubled, examine
from heliosight.subject.foreign import model_hash, subject_from
from heliosight.subject.loading import load_checkpoint, load_into
from heliosight.subject.wrap import Subject, wrap

__all__ = [
    "Calls",
    "OutputConfig",
    "ScalingConfig",
    "Subject",
    "SubjectConfig",
    "adapter",
    "build_from_path",
    "capture_calls",
    "change_inputs",
    "change_outputs",
    "check_subject",
    "doubled",
    "examine",
    "flat_tensors",
    "guess_arguments",
    "load_checkpoint",
    "load_into",
    "model_hash",
    "replaced",
    "subject_from",
    "wrap",
]
