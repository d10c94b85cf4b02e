import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import ExportError
from pipelines.export.saved_model import _refuse_machine_bound_operations
from pipelines.layers.recurrent import RecurrentStack


def saved(folder, stack, *, training):
    archive = keras.export.ExportArchive()
    archive.track(stack)
    signature = [tf.TensorSpec([None, None, 3])]
    archive.add_endpoint("serve", lambda values: stack(values, training=training), signature)
    archive.write_out(str(folder), verbose=False)
    return folder


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_training_graphs_are_refused_and_those_of_inference_pass(cell, tmp_path):
    stack = RecurrentStack(cell=cell, units=4, direction="both", use_cudnn=False)
    stack(np.zeros((1, 2, 3), np.float32))
    _refuse_machine_bound_operations(saved(tmp_path / "served", stack, training=False))
    with pytest.raises(ExportError, match="PyFuncStateless.*call its layers with training=False"):
        _refuse_machine_bound_operations(saved(tmp_path / "trained", stack, training=True))
