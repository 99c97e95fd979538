"""Trains a classifier of handwritten digits and writes it as model.onnx.

The same bytes each time: the forest is seeded, and growing trees needs no mathematics that
differs between processors.
"""

from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

images, digits = load_digits(return_X_y=True)
seen_images, new_images, seen_digits, new_digits = train_test_split(images, digits, random_state=0)
forest = RandomForestClassifier(n_estimators=50, random_state=0).fit(seen_images, seen_digits)
print(f"{forest.score(new_images, new_digits):.1%} of the digits that it has not seen are right")

model = to_onnx(
    forest,
    initial_types=[("pixels", FloatTensorType([None, 64]))],
    options={"zipmap": False},
    target_opset=17,
)
Path("model.onnx").write_bytes(model.SerializeToString(deterministic=True))
