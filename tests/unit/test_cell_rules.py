import pytest

from pipelines.cell_rules import check_cell_settings
from pipelines.errors import ConfigError

FINE = [
    {"cell": "simple"},
    {"cell": "sru", "forget_bias": 1.0, "peephole": False, "skips": True},
    {"cell": "lstm", "forget_bias": 2.0, "peephole": True, "deep_transition": 2},
    {"cell": "gru", "recurrent_init": "identity", "weight_dropout": 0.3, "recurrent_dropout": 0.1},
    {"cell": "simple", "norm_preserving": 0.5, "recurrent_init": "glorot"},
]
REFUSED = [
    ({"cell": "gru", "forget_bias": 2.0}, "--forget-bias is 2.0; it must be 1.0", "--cell lstm"),
    ({"cell": "sru", "peephole": True}, "--peephole is True; it must be False", "--cell lstm"),
    ({"cell": "mingru", "deep_transition": 1}, "--deep-transition is 1", "simple, gru or lstm"),
    ({"cell": "minlstm", "weight_dropout": 0.2}, "--weight-dropout is 0.2", "no recurrent matrix"),
    ({"cell": "sru", "recurrent_dropout": 0.2}, "--recurrent-dropout is 0.2", "simple, gru or"),
    ({"cell": "sru", "recurrent_init": "identity"}, "--recurrent-init is 'identity'", "orthogonal"),
    ({"cell": "lstm", "norm_preserving": 1.0}, "--norm-preserving is 1.0", "--cell simple"),
    (
        {"cell": "simple", "norm_preserving": 1.0, "deep_transition": 1},
        "--deep-transition is 1; it must be 0",
        "a plain simple cell",
    ),
]


@pytest.mark.parametrize("settings", FINE)
def test_what_can_be_is_allowed(settings):
    check_cell_settings(settings)


@pytest.mark.parametrize(("settings", "found", "remedy"), REFUSED)
def test_what_cannot_be_is_refused_with_what_to_do(settings, found, remedy):
    with pytest.raises(ConfigError) as caught:
        check_cell_settings(settings)
    assert found in str(caught.value)
    assert remedy in str(caught.value)
