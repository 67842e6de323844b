"""A plain config with everything a remedy can change, and findings by hand."""

from heliosight.core.records import Finding, Interval


def plain(**training):
    return {
        "systems": {"full": ["images", "solar_wind"]},
        "inputs": {
            "images": {"kind": "images", "steps": 28},
            "solar_wind": {"kind": "series", "steps": 56},
        },
        "faults": [{"kind": "state_not_carried", "branch": "images"}],
        "model": {
            "encoders": {},
            "images": {"type": "convlstm", "pooling": "last", "forget_bias": "zero", "dropout": 0},
            "series": {"type": "transformer", "pooling": "attention"},
            "fusion": {"type": "gated", "width": 32, "dropout": 0.1},
            "branch_norm": False,
            "auxiliary": {"image": False, "speed": False, "every_frame": False, "area": 0},
        },
        "improve": {"transfer": "sun.safetensors"},
        "start": {"weights": ""},
        "training": {
            "epochs": 10,
            "stages": [],
            "optimiser": {"rates": {}, "default_rate": 1e-3, "weight_decay": 0.01},
            "clipping": {"total": 1.0, "groups": {}},
            "loss": {"auxiliary_weight": 0.0},
            "curriculum": {"steps": [], "how": "mask"},
            "augmentation": {"modality_dropout": 0.0, "image_shift": 0, "frame_dropout": 0.0},
            **training,
        },
    }


def finding(check, subject, outcome="fault", cause="", action="", value=None, reason=""):
    return Finding(check, "?", subject, outcome, "", value, "", reason, cause, action)


NOT_CARRIED = finding("T4", "cell.images.0", cause="state_not_carried")
LAZY = finding("USE", "images", cause="lazy_or_blocked")
LOST_BRANCH = finding("T14", "images", "inconclusive", action="LayerNorm")
OPEN = finding(
    "T8", "images", "inconclusive",
    value=Interval(0.02, -0.02, 0.06, how="delete-one-block jackknife, t, 20 blocks of 27 d"),
)  # fmt: skip
