import pytest
import torch
from torch import nn

from edge_fer.errors import ModelError
from edge_fer.models.structure import adopt_widths


def network(width=8):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, groups=width),
        nn.Conv2d(width, 4, 1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def test_a_network_takes_the_widths_and_then_the_values_of_narrower_weights():
    narrow, wide = network(5).eval(), network(8).eval()
    adopt_widths(wide, narrow.state_dict())
    wide.load_state_dict(narrow.state_dict())
    x_NCHW = torch.randn(3, 1, 5, 5)
    assert torch.equal(wide(x_NCHW), narrow(x_NCHW))
    assert "groups=5" in repr(wide[2])


def test_the_same_widths_leave_a_network_alone():
    same = network()
    weight = same[0].weight
    adopt_widths(same, network().state_dict())
    assert same[0].weight is weight


@pytest.mark.parametrize(
    "other",
    [
        nn.Sequential(nn.Conv2d(1, 8, 5, bias=False)),
        nn.Sequential(nn.Linear(3, 8)),
        nn.Sequential(),
    ],
)
def test_other_layers_are_refused(other):
    with pytest.raises(ModelError, match=r"layer 0|layer 1"):
        adopt_widths(network(), other.state_dict())
