import torch

from milmer_cli.model.selection import WeightedMean


def test_mean_pooling_averages_the_faces_that_were_found_and_learns_nothing():
    tokens = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    found = torch.tensor([[True, False, True], [False, False, False]])
    pool = WeightedMean(width=5, learned=False)
    kept, valid, weights = pool(tokens, found)
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(kept[0, 0], tokens[0, [0, 2]].mean((0, 1)))
    assert valid.tolist() == [[True], [False]]
    assert list(pool.parameters()) == []
