"""What ``prune50_qat_...`` does before quantizing."""

from dataclasses import replace

import pytest

from edge_fer.compress.chain import Chain, run_chain
from edge_fer.compress.prune_request import Tools
from edge_fer.errors import EdgeFerError, OutputError
from edge_fer.train.checkpoint import load_checkpoint


def fit(run):
    return run.fit(lambda _: None, lambda _: None)


TOOLS = Tools(announce=lambda _: None, fit=fit)


@pytest.fixture
def chain(one_step_fer2013, tmp_path):
    return Chain(
        steps=("prune50", "qat"),
        data=f"fer2013:{one_step_fer2013}",
        folder=tmp_path / "out.steps",
        epochs=1,
        command="edge-fer quantize best.safetensors",
    )


def test_a_chain_prunes_then_trains_and_repeats_nothing(chain, trained_checkpoint):
    out = run_chain(chain, trained_checkpoint, TOOLS, resume=False, force=False)
    pruned, trained = load_checkpoint(chain.folder / "prune50.safetensors"), load_checkpoint(out)
    assert out == chain.folder / "qat" / "best.safetensors"
    assert trained.metadata["pruned"]
    shapes = [{k: v.shape for k, v in c.network.state_dict().items()} for c in (pruned, trained)]
    assert shapes[0] == shapes[1]
    assert trained.metadata["command"] == chain.command
    written = {p: p.stat().st_mtime_ns for p in (chain.folder / "prune50.safetensors", out)}
    assert run_chain(chain, trained_checkpoint, TOOLS, resume=True, force=False) == out
    assert written == {path: path.stat().st_mtime_ns for path in written}


def test_a_folder_in_the_way_is_kept(chain, trained_checkpoint):
    chain.folder.mkdir()
    with pytest.raises(OutputError, match="--force"):
        run_chain(chain, trained_checkpoint, TOOLS, resume=False, force=False)


def test_without_steps_nothing_happens(chain, trained_checkpoint):
    idle = replace(chain, steps=(), data=None)
    assert run_chain(idle, trained_checkpoint, TOOLS, resume=False, force=False) == (
        trained_checkpoint
    )
    assert not chain.folder.exists()


def test_steps_need_data(chain):
    with pytest.raises(EdgeFerError, match="prune50 and qat means training first: give --data"):
        replace(chain, data=None)
