import torch

from milmer_cli.models.mil import MilPooling


def test_mil_pooling_with_equal_weights_averages_the_found_faces():
    tokens = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    found = torch.tensor([[True, False, True], [False, False, False]])
    pool = MilPooling(hidden_size=5, learned=False)
    kept, valid, weights = pool(tokens, found)
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(kept[0, 0], tokens[0, [0, 2]].mean((0, 1)))
    assert valid.tolist() == [[True], [False]]
    assert list(pool.parameters()) == []
