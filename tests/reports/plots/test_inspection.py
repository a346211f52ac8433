from __future__ import annotations

import numpy as np

from milmer_cli.reports.plots import inspection as plots
from milmer_cli.reports.plots.signal_quality import plot_quality_overview


def test_spectra_have_plain_numbers_on_the_axis(inspection, texts):
    shown = texts(plots.spectra(inspection.spectra))
    assert not [text for text in shown if "$" in text]
    density = inspection.examples[0].density
    shown = texts(plots.spectrum(density, np.ones(density.shape[1]), inspection.spectra))
    assert {"0.1", "1", "10"} <= set(shown)


def test_quality_overview_numbers_whole_segments(inspection, texts):
    for width_in in (4.8, 9.4):
        shown = texts(plot_quality_overview(inspection.quality, 0.25, width_in))
        assert {"0", "1", "2", "3"} <= set(shown)
        assert "1.5" not in shown
