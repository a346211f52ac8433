"""The works to cite. README and CITATION.cff contain the first ones; a test compares them.

A field whose value is not certain is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from milmer_cli import __version__


@dataclass(frozen=True)
class Reference:
    """A published work.

    Attributes
    ----------
    key
        Key of the BibTeX entry.
    entry_type
        Type of the BibTeX entry.
    use
        What it is cited for.
    title, authors, year
        Title; authors as ``Family, Given``; year.
    fields
        Further fields of the BibTeX entry.
    """

    key: str
    entry_type: str
    use: str
    title: str
    authors: tuple[str, ...]
    year: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values with the names of the BibTeX fields."""
        values = {
            "key": self.key,
            "entry_type": self.entry_type,
            "use": self.use,
            "author": list(self.authors),
            "title": self.title,
            "year": self.year,
            **self.fields,
        }
        return {name: value for name, value in values.items() if value}

    def bibtex(self) -> str:
        """Return the BibTeX entry, as UTF-8."""
        authors = [name if "," in name else f"{{{name}}}" for name in self.authors]
        values = {"title": f"{{{self.title}}}", "author": " and ".join(authors)}
        values |= {**self.fields, "year": self.year}
        rows = [f"  {name:<9} = {{{value}}}" for name, value in values.items() if value]
        return f"@{self.entry_type}{{{self.key},\n" + ",\n".join(rows) + "\n}"

    def text(self) -> str:
        """Return the reference in one line."""
        names = [name.partition(",")[0] for name in self.authors]
        authors = names[0] + (" et al." if len(names) > 2 else f" and {names[-1]}" * len(names[1:]))
        published = self.fields.get("journal") or self.fields.get("booktitle", "")
        if published and "volume" in self.fields:
            number = f"({self.fields['number']})" if "number" in self.fields else ""
            published += f" {self.fields['volume']}{number}"
        doi = f"https://doi.org/{self.fields['doi']}" if "doi" in self.fields else ""
        where = doi or self.fields.get("url", "")
        year = f" ({self.year})" if self.year else ""
        parts = (f"{authors}{year}", self.title, self._version(), published, where)
        return ". ".join(part for part in parts if part)

    def _version(self) -> str:
        return f"Version {self.fields['version']}" if "version" in self.fields else ""


PAPER = Reference(
    "wang2025milmer",
    "article",
    "the model",
    "Milmer: a Framework for Multiple Instance Learning based Multimodal Emotion Recognition",
    (
        *("Wang, Zaitian", "He, Jian", "Liang, Yu", "Hu, Xiyuan", "Peng, Tianhao", "Wang, Kaixin"),
        *("Wang, Jiakai", "Zhang, Chenlong", "Zhang, Weili", "Niu, Shuang", "Xie, Xiaoyang"),
    ),
    "2025",
    {
        "journal": "arXiv preprint arXiv:2502.00547",
        "url": "https://arxiv.org/abs/2502.00547",
    },
)
SOFTWARE = Reference(
    "milmer_cli",
    "software",
    "this software",
    "Milmer, a command line for multimodal emotion recognition from EEG and face video",
    ("The Milmer maintainers",),
    fields={"version": __version__},
)
SWIN = Reference(
    "liu2021swin",
    "inproceedings",
    "the face backbone",
    "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
    (
        *("Liu, Ze", "Lin, Yutong", "Cao, Yue", "Hu, Han", "Wei, Yixuan", "Zhang, Zheng"),
        *("Lin, Stephen", "Guo, Baining"),
    ),
    "2021",
    {
        "booktitle": "Proceedings of the IEEE/CVF International Conference on Computer Vision",
        "doi": "10.1109/ICCV48922.2021.00986",
    },
)
MNE = Reference(
    "gramfort2013mne",
    "article",
    "reading and preprocessing of EEG",
    "MEG and EEG Data Analysis with MNE-Python",
    (
        *("Gramfort, Alexandre", "Luessi, Martin", "Larson, Eric", "Engemann, Denis A."),
        *("Strohmeier, Daniel", "Brodbeck, Christian", "Goj, Roman", "Jas, Mainak"),
        *("Brooks, Teon", "Parkkonen, Lauri", "Hämäläinen, Matti S."),
    ),
    "2013",
    {
        "journal": "Frontiers in Neuroscience",
        "volume": "7",
        "pages": "267",
        "doi": "10.3389/fnins.2013.00267",
    },
)
DEAP = Reference(
    "koelstra2012deap",
    "article",
    "the data set DEAP",
    "DEAP: A Database for Emotion Analysis Using Physiological Signals",
    (
        *("Koelstra, Sander", "Mühl, Christian", "Soleymani, Mohammad", "Lee, Jong-Seok"),
        *("Yazdani, Ashkan", "Ebrahimi, Touradj", "Pun, Thierry", "Nijholt, Anton"),
        "Patras, Ioannis",
    ),
    "2012",
    {
        "journal": "IEEE Transactions on Affective Computing",
        "volume": "3",
        "number": "1",
        "pages": "18--31",
        "doi": "10.1109/T-AFFC.2011.15",
    },
)
MAHNOB = Reference(
    "soleymani2012mahnob",
    "article",
    "the data set MAHNOB-HCI",
    "A Multimodal Database for Affect Recognition and Implicit Tagging",
    ("Soleymani, Mohammad", "Lichtenauer, Jeroen", "Pun, Thierry", "Pantic, Maja"),
    "2012",
    {
        "journal": "IEEE Transactions on Affective Computing",
        "volume": "3",
        "number": "1",
        "pages": "42--55",
        "doi": "10.1109/T-AFFC.2011.25",
    },
)
AMIGOS = Reference(
    "mirandacorrea2021amigos",
    "article",
    "the data set AMIGOS",
    "AMIGOS: A Dataset for Affect, Personality and Mood Research on Individuals and Groups",
    (
        *("Miranda-Correa, Juan Abdon", "Abadi, Mojtaba Khomami", "Sebe, Nicu"),
        "Patras, Ioannis",
    ),
    "2021",
    {
        "journal": "IEEE Transactions on Affective Computing",
        "volume": "12",
        "number": "2",
        "pages": "479--493",
        "doi": "10.1109/TAFFC.2018.2884461",
    },
)
EAV = Reference(
    "lee2024eav",
    "article",
    "the data set EAV",
    "EAV: EEG-Audio-Video Dataset for Emotion Recognition in Conversational Contexts",
    (
        *("Lee, Min-Ho", "Shomanov, Adai", "Begim, Balgyn", "Kabidenova, Zhuldyz"),
        *("Nyssanbay, Aruna", "Yazici, Adnan", "Lee, Seong-Whan"),
    ),
    "2024",
    {
        "journal": "Scientific Data",
        "volume": "11",
        "pages": "1026",
        "doi": "10.1038/s41597-024-03838-4",
    },
)
EEG_BIDS = Reference(
    "pernet2019eegbids",
    "article",
    "the structure of the data set",
    "EEG-BIDS, an extension to the brain imaging data structure for electroencephalography",
    (
        *("Pernet, Cyril R.", "Appelhoff, Stefan", "Gorgolewski, Krzysztof J."),
        *("Flandin, Guillaume", "Phillips, Christophe", "Delorme, Arnaud", "Oostenveld, Robert"),
    ),
    "2019",
    {
        "journal": "Scientific Data",
        "volume": "6",
        "pages": "103",
        "doi": "10.1038/s41597-019-0104-8",
    },
)
MNE_BIDS = Reference(
    "appelhoff2019mnebids",
    "article",
    "writing of BIDS with milmer manifest to-bids",
    "MNE-BIDS: Organizing electrophysiological data into the BIDS format and facilitating their "
    "analysis",
    (
        *("Appelhoff, Stefan", "Sanderson, Matthew", "Brooks, Teon L.", "van Vliet, Marijn"),
        *("Quentin, Romain", "Holdgraf, Chris", "Chaumon, Maximilien", "Mikulan, Ezequiel"),
        *("Tavabi, Kambiz", "Höchenberger, Richard", "Welke, Dominik", "Brunner, Clemens"),
        *("Rockhill, Alexander P.", "Larson, Eric", "Gramfort, Alexandre", "Jas, Mainak"),
    ),
    "2019",
    {
        "journal": "Journal of Open Source Software",
        "volume": "4",
        "number": "44",
        "pages": "1896",
        "doi": "10.21105/joss.01896",
    },
)
ALWAYS = (PAPER, SOFTWARE, SWIN, MNE)
"""Cited for every result."""
BY_DATA_SET = {
    "DEAP": (DEAP,),
    "EAV": (EAV,),
    "MAHNOB-HCI": (MAHNOB,),
    "AMIGOS": (AMIGOS,),
    "BIDS": (EEG_BIDS, MNE_BIDS),
}
"""Name of a data set, as in `milmer_cli.datasets` -> what to cite for it."""
