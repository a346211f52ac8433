from __future__ import annotations

from dataclasses import replace

from milmer_cli.reports.inspection import inspection_page


def test_inspection_page_groups_equal_remarks(inspection, read_page):
    (participant,) = inspection.participants
    participants = tuple(
        replace(participant, name=name, remarks=remarks)
        for name, remarks in (("s01", ("Short.",)), ("s02", ("Short.", "Loud.")), ("s03", ()))
    )
    content = read_page(inspection_page(replace(inspection, participants=participants)))
    assert content.sections["remarks"].endswith("recordings s01, s02 Short. s02 Loud.")


def test_inspection_page_hides_no_column_on_a_phone(inspection, read_page):
    content = read_page(inspection_page(inspection))
    hidden = {tag for tag, name, value in content.attributes if (name, value) == ("class", "wide")}
    assert hidden == {"figure", "figcaption"}
    for name in ("Trials", "Segments", "No class", "EEG", "Eye artifacts", "Faces"):
        assert name in content.sections["participants"]
