import pickle

import pytest
import torch
from safetensors.torch import save_file
from subject_worlds import Foreign

from heliosight.core.errors import SubjectError
from heliosight.subject import load_checkpoint, load_into


def state():
    torch.manual_seed(0)
    return Foreign().state_dict()


@pytest.mark.parametrize("shape", ["bare", "model_state_dict", "state_dict", "parallel"])
def test_every_usual_form_is_understood(tmp_path, shape):
    tensors = state()
    if shape == "parallel":
        content = {"state_dict": {f"module.{k}": v for k, v in tensors.items()}, "epoch": 3}
    else:
        content = tensors if shape == "bare" else {shape: tensors, "epoch": 3}
    torch.save(content, tmp_path / "w.pth")
    loaded = load_checkpoint(tmp_path / "w.pth")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[k], tensors[k]) for k in tensors)
    load_into(Foreign(), loaded)


def test_safetensors(tmp_path):
    tensors = {k: v.contiguous() for k, v in state().items()}
    save_file(tensors, tmp_path / "w.safetensors")
    loaded = load_checkpoint(tmp_path / "w.safetensors")
    assert all(torch.equal(loaded[k], tensors[k]) for k in tensors)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path):
    target = tmp_path / "ran"
    torch.save({"state_dict": Malicious(target)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Malicious(target), protocol=2))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(SubjectError, match=r"runs no code.*a whole module perhaps"):
            load_checkpoint(tmp_path / name)
    assert not target.exists()


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(SubjectError, match="a checkpoint is a file"):
        load_checkpoint(tmp_path / "none.pth")
    (tmp_path / "w.safetensors").write_bytes(b"123")
    with pytest.raises(SubjectError, match=r"a \.safetensors file is whole"):
        load_checkpoint(tmp_path / "w.safetensors")
    torch.save(state(), tmp_path / "w.pth")
    cut = (tmp_path / "w.pth").read_bytes()[:2000]
    (tmp_path / "cut.pth").write_bytes(cut)
    with pytest.raises(SubjectError, match=r"a checkpoint is readable.*no file of torch"):
        load_checkpoint(tmp_path / "cut.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(SubjectError, match="maps names to tensors"):
        load_checkpoint(tmp_path / "list.pth")


def test_a_misfit_names_every_problem_at_once():
    tensors = dict(state())
    tensors["stranger"] = tensors.pop("head.bias")
    tensors["head.weight"] = torch.zeros(2, 2)
    with pytest.raises(SubjectError, match=r"missing head.bias; unknown stranger; head.weight is"):
        load_into(Foreign(), tensors)
