"""Numbers of a run as ``figure5.json`` holds them: two modules, two rates, two checkpoints, one of them clipped."""

from typing import Any


def added(few: float, many: float, error: float) -> dict[str, Any]:
    return {
        "few": {"mean": few, "standard_error": error},
        "many": {"mean": many, "standard_error": error},
    }


def clip_of(module: str, rate: float, few: float, many: float) -> dict[str, Any]:
    return {
        "layer": 0,
        "module": module,
        "clip_rate": rate,
        "added": {"mean": [0.0, few, many], "standard_error": [0.0, 0.01, 0.02]},
        "choose": added(few, many, 0.01),
        "report": added(few, many, 0.01),
    }


def make_numbers() -> dict[str, Any]:
    clips = [clip_of("q", 0.5, -0.05, 0.3), clip_of("q", 0.9, 0.01, 0.8), clip_of("v", 0.5, 0.0, -0.1)]
    clips.append(clip_of("v", 0.9, 0.4, 0.5))
    return {
        "settings": {"n_blocks": 3, "width": 8, "n_dims": {"stop": 2}, "n_prompts": 1024},
        "solvers": {"least_squares": {"mean": [1.0, 0.5, 0.0], "standard_error": [0.1, 0.1, 0.0]}},
        "checkpoints": [
            {
                "step": 1000,
                "untouched": {"mean": [1.0, 0.9, 0.8], "standard_error": [0.1] * 3},
                "clips": clips,
                "chosen": {"few": 0, "many": 2},
            },
            {
                "step": 5000,
                "untouched": {"mean": [1.0, 0.6, 0.2], "standard_error": [0.1] * 3},
                "clips": [],
                "chosen": {},
            },
        ],
    }
