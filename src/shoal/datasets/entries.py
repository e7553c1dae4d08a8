"""The table of public data sets.

A hash stands here only where a source gives it: MD5 as GroupLens publishes it beside each archive;
SHA-256 as at least one public program that downloads the same address pins it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit


@dataclass(frozen=True)
class RemoteFile:
    """One file of a publisher; hashes and size in bytes are None where no source gives them."""

    url: str
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None

    @property
    def name(self) -> str:
        """The last part of the address."""
        return PurePosixPath(urlsplit(self.url).path).name


@dataclass(frozen=True)
class Entry:
    """A public data set.

    Attributes
    ----------
    name, title, publisher, homepage : str
        Its name here, its name and its publisher, and the page that describes it.
    licence : str
        The terms of use in a few plain words.
    files : tuple of RemoteFile
        What is downloaded; empty for a data set that is no longer offered.
    rows, users, items : int or None
        Counts that the publisher states; None where none is stated.
    citation : str
        What a publication that uses the data should cite.
    note : str
        What may surprise people who use the data.
    """

    name: str
    title: str
    publisher: str
    homepage: str
    licence: str
    files: tuple[RemoteFile, ...]
    rows: int | None
    users: int | None
    items: int | None
    citation: str
    note: str = ""

    @property
    def unprotected(self) -> tuple[str, ...]:
        """What does not protect the download: "no hash", "no https"; empty if both do."""
        no_hash = any(file.sha256 is None and file.md5 is None for file in self.files)
        no_https = any(urlsplit(file.url).scheme != "https" for file in self.files)
        return ("no hash",) * no_hash + ("no https",) * no_https


_HARPER = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. "
    "ACM Transactions on Interactive Intelligent Systems 5, 4, 19:1-19:19. "
    "https://doi.org/10.1145/2827872"
)
_RESEARCH = "research use only, cite the paper; no commercial use without permission; "
_CLOSED = _RESEARCH + "do not redistribute without permission"
_OPEN = _RESEARCH + "may be redistributed under the same terms"


def _movielens(
    name: str,
    title: str,
    licence: str,
    counts: tuple[int, int, int],
    note: str = "",
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
) -> Entry:
    url = f"https://files.grouplens.org/datasets/movielens/{name}.zip"
    page = name.removeprefix("ml-").removesuffix("-small")
    return Entry(
        name,
        f"MovieLens {title}",
        "GroupLens, University of Minnesota",
        f"https://grouplens.org/datasets/movielens/{page}/",
        licence,
        (RemoteFile(url, sha256, md5, size),),
        *counts,
        _HARPER,
        note,
    )


def _lightgcn(name: str, title: str, origin: str, counts: tuple[int, int, int]) -> Entry:
    repository = "gusye1234/LightGCN-PyTorch"
    # The last commit of the authors' repository, which is archived.
    base = (
        f"https://raw.githubusercontent.com/{repository}/947ca2b3b1d2d3545b114145710cb06c4e57b3d2"
    )
    return Entry(
        name,
        f"{title}, LightGCN split",
        "the authors of LightGCN (University of Science and Technology of China)",
        f"https://github.com/{repository}",
        f"no licence is stated with the split; the terms of {origin} apply; cite the paper",
        tuple(RemoteFile(f"{base}/data/{name}/{part}.txt") for part in ("train", "test")),
        *counts,
        "Xiangnan He, Kuan Deng, Xiang Wang, Yan Li, Yongdong Zhang and Meng Wang. 2020. LightGCN: "
        "Simplifying and Powering Graph Convolution Network for Recommendation. SIGIR 2020. "
        "https://arxiv.org/abs/2002.02126",
        "Published as train and test, with numbers for ids; no ratings, times or titles.",
    )


def _amazon(sha256: str, category: str) -> Entry:
    base = (
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/benchmark/0core/rating_only"
    )
    return Entry(
        f"amazon2023:{category}",
        f"Amazon Reviews 2023, {category.replace('_', ' ')}",
        "McAuley Lab, University of California San Diego",
        "https://amazon-reviews-2023.github.io/",
        "the publisher gives no licence: made available primarily for research, its lawful use is "
        "the user's responsibility; cite the paper",
        (RemoteFile(f"{base}/{category}.csv.gz", sha256),),
        None,
        None,
        None,
        "Yupeng Hou, Jiacheng Li, Zhankui He, An Yan, Xiusi Chen and Julian McAuley. 2024. "
        "Bridging Language and Items for Retrieval and Recommendation. https://arxiv.org/abs/2403.03952",
        "The ratings-only benchmark file, not filtered (0-core); timestamps are in milliseconds.",
    )


_AMAZON = """
54b894e68ad965aa73cdb80d8695c1ed37679c46f38b6f97b21ab0fb585aab24 All_Beauty
7d08f3ad3ec331eb95cabf5a85c8e65f82f958429a17131e6d391f54532c0310 Amazon_Fashion
0096701a2521a5fc71c5cfca11e953b0eb48a94a1b6ee4be65cb680c1fd56976 Appliances
05ca786b3f99269ba659d71891b55d23e37bd74ab6cec0b53214ccb656308bb3 Arts_Crafts_and_Sewing
9dda260d1d2cb91d0f967d0b4bfa0a09fda2904432023234569e45a6a30c48d3 Automotive
e2a8d0498afed767ee2615db7fac549559d82490b1a73c7241b84b5e9e8c279e Baby_Products
dd89a914e8c71d811c49a7e8fbdfc251c08bffb461b9544275e94018cb17f741 Beauty_and_Personal_Care
752e144c1d3804619711a6b21bd68a5505825064723bfcd5008ac26067abe04b Books
1bade4e428efcffb549b6b7cb1f62a8cde9644e19a981a210b11a4c9c1561e75 CDs_and_Vinyl
1f6df616b0ae463c039f68c7082daec52d2c713b33adb57b85db3430a8e2373a Cell_Phones_and_Accessories
ee93396e811c03d077290b78e323228c58814a034e3e98d0339e5314d7f7a9a7 Clothing_Shoes_and_Jewelry
dbd5ddd5398d0eb9cfe224c9cc60470ccfd9c55e76fc82653dd3f44f6796c2a1 Digital_Music
2ac3508c5d0ee55ed9fdc833629f751e0f0120b9a8cb30867c8c14b87911c170 Electronics
abfd9636afc5cdc1f46082ac1f9661b7c617cbd9c8a75652ad6a567173a14807 Gift_Cards
4cb2da7f57dfe210eecf348ee16514d11460022f0ce4ed141aa66e3eb5410135 Grocery_and_Gourmet_Food
b024e3e4cb1b1f4c9cfbb44a506ea42f8b8430ee8caf0dfa69fef52b69ece408 Handmade_Products
0a8982f9915bd18ea61caf4341db95c3fe1478abee907e6a61fec838374d2dca Health_and_Household
5516d99b9747abff99003a7e1518833c2d64b10196201b6e6e90673bee15964d Health_and_Personal_Care
9be4e2dc8b3dc513c02521644b2ae55f722b2941767e539dcfe518f6bdd4f70b Home_and_Kitchen
97aea590deb258f634caea04b63f038dceb5990bbc92cac87ce2a985f0f91595 Industrial_and_Scientific
ff546c451edfb403d10099912b816b11600e689a599621167d4847331fdc0a0d Kindle_Store
4892619d97f810331c2a278176b2be616de10403be59e48efbe65c5c1e7904d2 Magazine_Subscriptions
aa927ae5a4fc5262bfa6152ce522349f828760035242fd7e02b1dc139e867156 Movies_and_TV
042648a89f479aaa2af4664dcb49966dbaf07bd5ebab6957799f5fb4c5efa2e0 Musical_Instruments
f91b5cfb6ed5ff52afe3e2f3ecc7918cbd8745b3241a8fc61011c3a41f23920b Office_Products
a1ea496e71e488c6b12823d479ed6375384b82f6794b38e66d12a5dcd20c392d Patio_Lawn_and_Garden
cfc55406a1fbb507e4adfa18472e60a5de52fab3dd76f97fea25d30da1288003 Pet_Supplies
11687bdbedc0bfd9bf86368465dcab40f2450d1ea8eabd3c830ba8b339edd9c0 Software
110617511c7303ca34d157b7d62fd20a02e412c3639b4c6e307a951fadf0414c Sports_and_Outdoors
fb867ee253db3987ab3ceaf371da506df794b08c98cf9a99e9718d9e4e818188 Subscription_Boxes
5845ac062a2c165d540badac13f00a8cb8cdaa30deb670a9b41db19d92c6bd1d Tools_and_Home_Improvement
170fc8a18797c6091cf1b07bb3d97c13c94bfa030cf76c430bb8cac0dfb47a9f Toys_and_Games
864c1dfa8b215a9a09fe0d17c7abc15f2da97078bc9acc7911783f2447016e10 Unknown
30692f9806e33a7b5d8b599b73d7ca33dbfefb0abdfc1578052a101f2e64b3cd Video_Games
"""
_GOODBOOKS = "https://raw.githubusercontent.com/zygmuntz/goodbooks-10k"
_TABLE = (
    _movielens(
        "ml-100k",
        "100K",
        _CLOSED,
        (100_000, 943, 1_682),
        sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        md5="0e33842e24a9c977be4e0107933c0723",
        size=4_924_029,
    ),
    _movielens(
        "ml-1m",
        "1M",
        _CLOSED,
        (1_000_209, 6_040, 3_900),
        "The publisher says approximately 3,900 movies; 3,706 of them have ratings.",
        sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        md5="c4d9eecfca2ab87c1945afe126590906",
        size=5_917_549,
    ),
    _movielens(
        "ml-10m",
        "10M",
        _CLOSED,
        (10_000_054, 71_567, 10_681),
        "The publisher counts 71,567 users; 69,878 of them have ratings.",
        sha256="813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
        md5="ce571fd55effeba0271552578f2648bd",
        size=65_566_137,
    ),
    _movielens(
        "ml-20m",
        "20M",
        _OPEN,
        (20_000_263, 138_493, 27_278),
        "26,744 of the 27,278 movies have ratings.",
        sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        md5="cd245b17a1ae2cc31bb14903e1204af3",
        size=198_702_078,
    ),
    _movielens(
        "ml-25m",
        "25M",
        _OPEN,
        (25_000_095, 162_541, 62_423),
        sha256="8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
        md5="6b51fb2759a8657d3bfcbfc42b592ada",
        size=261_978_986,
    ),
    _movielens(
        "ml-latest-small",
        "latest, small",
        _OPEN,
        (100_836, 610, 9_742),
        # No hash, though one is known of the edition of September 2018: the file may change.
        "The publisher replaces it over time: good for trying things, not for results.",
    ),
    Entry(
        "netflix",
        "Netflix Prize",
        "Netflix",
        "https://www.netflixprize.com",
        "research use only, acknowledge Netflix; no commercial use and no redistribution without "
        "permission",
        (),
        100_480_507,
        480_189,
        17_770,
        "James Bennett and Stan Lanning. 2007. The Netflix Prize. KDD Cup and Workshop 2007.",
        "Netflix has withdrawn it. A folder, zip or tar with combined_data_*.txt or "
        "training_set/mv_*.txt (and movie_titles.csv) is read.",
    ),
    Entry(
        "msd",
        "Echo Nest Taste Profile of the Million Song Dataset",
        "The Echo Nest and LabROSA, Columbia University",
        "http://millionsongdataset.com/tasteprofile/",
        "research use, under the terms of The Echo Nest's API; companies ask first; cite the paper",
        (
            RemoteFile(
                "http://millionsongdataset.com/sites/default/files/challenge/train_triplets.txt.zip"
            ),
        ),
        48_373_586,
        1_019_318,
        384_546,
        "Thierry Bertin-Mahieux, Daniel P. W. Ellis, Brian Whitman and Paul Lamere. 2011. The "
        "Million Song Dataset. ISMIR 2011.",
        "Play counts, in a column `plays`. Parsing needs 3 GB more of disk for a while.",
    ),
    _lightgcn("gowalla", "Gowalla", "the SNAP Gowalla check-ins", (1_027_370, 29_858, 40_981)),
    _lightgcn("yelp2018", "Yelp 2018", "the Yelp Open Dataset", (1_561_406, 31_668, 38_048)),
    _lightgcn("amazon-book", "Amazon Books", "the Amazon reviews", (2_984_108, 52_643, 91_599)),
    Entry(
        "goodbooks-10k",
        "Goodbooks-10k",
        "Zygmunt Zając, FastML",
        "https://github.com/zygmuntz/goodbooks-10k",
        "Creative Commons Attribution-ShareAlike 4.0: free to use and share, with attribution and "
        "under the same licence",
        (
            RemoteFile(f"{_GOODBOOKS}/e7056a970b4803b009808400517355c6c9dd9067/ratings.csv"),
            RemoteFile(f"{_GOODBOOKS}/fdb21c94e9e6e3340966a231c5bda91466e61ed6/books.csv"),
        ),
        5_976_479,
        53_424,
        10_000,
        "Zygmunt Zając. 2017. Goodbooks-10k: a new dataset for book recommendations. FastML. "
        "https://fastml.com/goodbooks-10k",
        "No timestamps; the publisher says that the ratings are sorted by time.",
    ),
    *(_amazon(*line.split()) for line in _AMAZON.strip().splitlines()),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _TABLE}
