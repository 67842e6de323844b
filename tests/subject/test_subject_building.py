import sys

import pytest
import torch
from safetensors.torch import save_file
from subject_worlds import SPEC, batch_of

from heliosight.core.errors import SubjectError
from heliosight.subject import build_from_path

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 4)

    def forward(self, batch):
        return self.head(batch.inputs["solar_wind"][:, -1])

def build():
    return Net()

def fails():
    raise ValueError("no such layer")

def number():
    return 3

constant = 3
"""


@pytest.fixture
def user_code(tmp_path, monkeypatch):
    """A package in the working directory, which is not where Python looks for modules."""
    folder = tmp_path / "users_package"
    folder.mkdir()
    (folder / "models.py").write_text(CODE)
    (folder / "wrapped.py").write_text(
        "from heliosight.subject import wrap\n"
        "from subject_worlds import SPEC\n"
        "from users_package.models import Net\n"
        "def build():\n    return wrap(Net(), SPEC, name='mine')\n"
    )
    (folder / "broken.py").write_text("import nothing_like_this\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [n for n in sys.modules if n.split(".")[0] == "users_package"]:
        del sys.modules[name]


def test_a_module_is_built_wrapped_and_loaded(user_code):
    weights = {"head.weight": torch.full((4, 2), 0.5), "head.bias": torch.zeros(4)}
    save_file(weights, user_code / "w.safetensors")
    before = list(sys.path)
    subject = build_from_path("users_package.models:build", user_code / "w.safetensors", SPEC)
    batch = batch_of(3)
    wanted = 0.5 * batch.inputs["solar_wind"][:, -1].sum(1, keepdim=True).expand(-1, 4)
    torch.testing.assert_close(subject.forecast(batch), wanted)
    assert sys.path == before


def test_a_function_may_wrap_by_itself(user_code):
    assert build_from_path("users_package.wrapped:build").name == "mine"


@pytest.mark.parametrize("target", ["users_package.models", ":build", "a b:build", "a.b:", "x:y:z"])
def test_a_name_has_two_parts(target):
    with pytest.raises(SubjectError, match="named by module and function"):
        build_from_path(target)


def test_the_working_directory_shadows_nothing(user_code):
    (user_code / "json.py").write_text("def build():\n    return None\n")
    with pytest.raises(SubjectError, match="built by a function of its module"):
        build_from_path("json:build")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("users_package.missing:build", "can be imported.*ModuleNotFoundError"),
        ("users_package.broken:build", "can be imported.*nothing_like_this"),
        ("users_package.models:constant", "by a function of its module.*There is: Net, build"),
        ("users_package.models:fails", "without arguments.*ValueError: no such layer"),
        ("users_package.models:number", "gives a subject or a module.*int"),
        ("users_package.models:build", "comes with a specification"),
    ],
)
@pytest.mark.usefixtures("user_code")
def test_what_cannot_be_built_is_refused(target, said):
    with pytest.raises(SubjectError, match=said):
        build_from_path(target)


def test_a_checkpoint_that_does_not_fit_is_refused(user_code):
    torch.save({"state_dict": {"other": torch.zeros(2)}}, user_code / "w.pth")
    with pytest.raises(SubjectError, match="fits its model"):
        build_from_path("users_package.models:build", user_code / "w.pth", SPEC)
