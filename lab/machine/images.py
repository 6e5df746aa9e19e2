"""The lab's images: which there are, what they are made of, and how they come to be on the engine.

A tag carries a hash of everything the image is made from, so that an unchanged image is never built again, and
two checkouts with different sources never take each other's.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import yaml
from docker import APIClient

from lab.errors import EngineError, SetupError
from lab.machine import labels
from lab.machine.base_image import EMULATION, BaseRecipe, foreign_processor, make_base
from lab.machine.engine import NotFound, engine_errors
from lab.machine.install import Say, still_at_it
from lab.model import Value

REPOSITORY = "cluster-lab"


class ImageRecipe(Value):
    """One image: `name` is what people call it ("shop:v1")."""

    name: str
    folder: str
    settings: Mapping[str, str] = {}
    """Build arguments beside BASE."""


def _shop(tag: str, release: str, **settings: str) -> ImageRecipe:
    return ImageRecipe(name=f"shop:{tag}", folder="shop", settings={"RELEASE": release, **settings})


GATE = "gate"
"""The shop's image under another name: what stands before somebody's own app, see shop/gate.py."""

RECIPES = (
    ImageRecipe(name="nginx", folder="nginx"),
    ImageRecipe(name="redis", folder="redis"),
    ImageRecipe(name="cutter", folder="cutter"),
    ImageRecipe(name=GATE, folder="shop"),
    _shop("v1", "v1"),
    _shop("v2", "v2"),
    _shop("v1-memory", "v1", SESSIONS="memory"),
    _shop("v2-memory", "v2", SESSIONS="memory"),
    _shop("v2-never-ready", "v2", SABOTAGE="never_ready"),
)
"""What the lab's own scenarios need: made ready at set-up."""

FIRST = frozenset({"nginx", "redis", "cutter", "shop:v1"})
"""Those that share nothing but the base."""
POSTGRES = "postgres"
NODE = "node"
SELDOM = (ImageRecipe(name=POSTGRES, folder="postgres"), ImageRecipe(name=NODE, folder="node"))
"""What only some scenarios need, and the yard: made when one asks for it."""

SPOILT = (
    tuple(
        _shop(f"{release}-{mistake.replace('_', '-')}", release, SABOTAGE=mistake)
        for release in ("v1", "v2")
        for mistake in (
            "lost_update",
            "doubled",
            "stale_read",
            "leak",
            "drops_field",
            "logs_out",
            "short_life",
            "logout_stays",
            "early_ready",
            "no_drain",
            "flaky",
            "slow",
        )
    )
    + tuple(
        _shop(f"v2-{mistake.replace('_', '-')}", "v2", SABOTAGE=mistake)
        for mistake in (
            "any_password",
            "caches_sessions",
            "clock_decides",
            "crashes",
            "cuts_order",
            "doubles_order",
            "drops_writes",
            "eats",
            "empty_at_times",
            "empty_pages",
            "ends_come_back",
            "error_bodies",
            "expires",
            "forgets_gifts",
            "forgets_keys",
            "halves",
            "hides_order",
            "history_in_memory",
            "keeps_cart",
            "keeps_removed",
            "keys_per_replica",
            "logout_of_all",
            "mute_zone",
            "new_format",
            "one_device",
            "other_cookie",
            "other_item",
            "other_prices",
            "others_cart",
            "outdated",
            "page_of_others",
            "plain_names",
            "redirects",
            "refuses_adds",
            "rehashes",
            "sends_away",
            "short_names",
            "skewed_clock",
            "some_redirects",
            "swaps",
            "tells_of_others",
            "too_many",
            "trims_history",
            "turns_history",
            "turnstile",
            "writes_behind",
            "writes_later",
        )
    )
    + tuple(
        _shop(f"v1-{mistake.replace('_', '-')}", "v1", SABOTAGE=mistake)
        for mistake in ("history_in_memory", "outdated")
    )
)
"""Builds with one mistake each, by which the oracle itself is tested: made when a scenario asks for them."""


UNUSUAL = tuple(
    _shop(f"v2-{way.replace('_', '-')}", "v2", SABOTAGE=way)
    for way in (
        "chunked",
        "closes",
        "created",
        "drips",
        "escaped",
        "large_pages",
        "late_leaver",
        "loses_answers",
        "many_cookies",
        "many_headers",
        "more_fields",
        "pretty",
        "renews_cookies",
        "says_later",
        "slow_start",
        "sorted",
        "uneven",
    )
)
"""Builds that do what is promised in an unusual way, which must hold: made as those above."""


class ImageShelf:
    """The images of one checkout on one engine, for its own processor or for the one DOCKER_DEFAULT_PLATFORM names.

    Raises UsageError for a platform that they are not made for.
    """

    def __init__(self, engine: APIClient, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self._base_recipe = msgspec.convert(yaml.safe_load((folder / "base" / "recipe.yaml").read_text()), BaseRecipe)
        self.foreign = foreign_processor(engine)  # "arm64"; "" for the engine's own

    @property
    def names(self) -> tuple[str, ...]:
        """The images that every set-up makes."""
        return tuple(recipe.name for recipe in RECIPES)

    def tag(self, name: str) -> str:
        """The full tag of an image by its name; an image that the lab does not build is taken as the engine has it.

        Raises SetupError where the engine does not have it.
        """
        recipe = _recipe(name)
        if recipe is None:
            if self._has(name):
                return name
            known = ", ".join(one.name for one in RECIPES)
            raise SetupError(
                f"the lab builds no image {name!r}, and the engine does not have it",
                at="images/",
                hint=f"docker build -t {name} .   # or: docker pull {name}; the lab's own are {known}",
            )
        stem, _, variant = name.partition(":")
        made_of = _hash_folder(self._folder / recipe.folder)
        digest = _short_hash(self.base_tag, made_of, msgspec.json.encode(recipe).decode())
        return f"{REPOSITORY}/{stem}:{variant + '-' if variant else ''}{digest}{self.suffix}"

    @property
    def platform(self) -> str | None:
        """What a build of one is told; None for the engine's own."""
        return f"linux/{self.foreign}" if self.foreign else None

    @property
    def base_tag(self) -> str:
        return f"{REPOSITORY}/base:{self._base_recipe.suite}-{_hash_folder(self._folder / 'base')}{self.suffix}"

    @property
    def suffix(self) -> str:
        """Of a tag, so that nobody takes a foreign image for the engine's own."""
        return f"-{self.foreign}" if self.foreign else ""

    def ids(self, needs: Collection[str] = ()) -> dict[str, str]:
        """The engine's content id of each image that is there, by its full tag; `needs` beside the usual ones."""
        tags = dict.fromkeys((self.base_tag, *(self.tag(name) for name in (*self.names, *needs))))
        found = {tag: self.id_of(tag) for tag in tags}
        return {tag: content for tag, content in found.items() if content is not None}

    def id_of(self, tag: str) -> str | None:
        """The engine's content id of an image by its full tag, None where it is not there."""
        with engine_errors("look at an image", at=tag):
            try:
                return str(self._engine.inspect_image(tag)["Id"])
            except NotFound:
                return None

    def missing(self, needs: Collection[str] = ()) -> list[str]:
        """The names of images that the engine does not have yet, the base first; `needs` beside the usual ones."""
        for name in needs:
            if _recipe(name) is None:
                self.tag(name)  # somebody's own, which only they can make
        lacking = [] if self._has(self.base_tag) else ["base"]
        return lacking + [name for name in dict.fromkeys((*self.names, *needs)) if not self._has(self.tag(name))]

    def make_missing(self, say: Say, needs: Collection[str] = ()) -> None:
        """Build what is missing. May run at the same time in another checkout; doing it again does nothing."""
        lacking = self.missing(needs)
        if "base" in lacking:
            labelled = _image_labels("base")
            make_base(self._engine, self._base_recipe, self.base_tag, labelled, self.foreign, say)
        # The first differ in their packages and are built two at a time; the shop's other variants then take the
        # layers of its first one from the cache.
        first = [one for one in RECIPES if one.name in lacking and one.name in FIRST]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda recipe: self._build(recipe, say), first))
        for recipe in (*RECIPES, *SELDOM, *SPOILT, *UNUSUAL):
            if recipe.name in lacking and recipe not in first:
                self._build(recipe, say)

    def _has(self, tag: str) -> bool:
        with engine_errors("look for an image", at=tag):
            try:
                self._engine.inspect_image(tag)
            except NotFound:
                return False
        return True

    def _build(self, recipe: ImageRecipe, say: Say) -> None:
        tag = self.tag(recipe.name)
        say(f"image {recipe.name}: building {tag}")
        context = _pack(self._folder / recipe.folder)
        at = f"images/{recipe.folder}/Dockerfile"
        with still_at_it(f"image {recipe.name}", say), engine_errors(f"build image {recipe.name}", at=at):
            for line in self._engine.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                rm=True,
                forcerm=True,
                decode=True,
                platform=self.platform,
                buildargs={"BASE": self.base_tag, **recipe.settings},
                labels=_image_labels(recipe.name),
            ):
                if "error" in line:
                    said = str(line["error"]).strip()
                    raise EngineError(f"image {recipe.name} can't be built: {said}", at=at, hint=_way_out(said))
        if not self._has(tag):
            raise EngineError(f"the engine built image {recipe.name} but does not have it", at=tag)


def _way_out(said: str) -> str:
    """Of a build that failed with these words."""
    if "no space left" in said.lower():
        return "docker system df; lab clean --all"
    if "exec format error" in said.lower():
        return f"{EMULATION}   # the image is for another processor than the engine's"
    return "lab doctor   # is the mirror reached?"


def is_own_image(name: str) -> bool:
    """Whether the lab builds this image itself."""
    return _recipe(name) is not None


def _recipe(name: str) -> ImageRecipe | None:
    return next((one for one in (*RECIPES, *SELDOM, *SPOILT, *UNUSUAL) if one.name == name), None)


def _image_labels(name: str) -> dict[str, str]:
    """Images are shared by all labs of an engine, so they belong to no run and never expire by themselves."""
    return {labels.PROJECT: "images", labels.ROLE: "image", labels.RELEASE: name}


def _pack(folder: Path) -> io.BytesIO:
    """A build context whose bytes depend on names and contents alone, so that layers are found in the cache."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in _files(folder):
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size, info.mode = path.stat().st_size, 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as file:
                tar.addfile(info, file)
    packed.seek(0)
    return packed


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _hash_folder(folder: Path) -> str:
    made_of = hashlib.sha256()
    for path in _files(folder):
        made_of.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return made_of.hexdigest()[:12]


def _short_hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
