"""The page as one person has it open: Streamlit runs its script, and tests press what it shows."""

from __future__ import annotations

import json
from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button, UnknownElement

from medground.viewer.config import ViewerConfig
from medground.viewer.memory import Memory, memory_of
from medground.viewer.running import Viewer, run_as
from medground.viewer.server import SCRIPT
from medground.viewer.sessions import Session, Sessions
from tests.viewer.people import Asked

_TIMEOUT_S = 300.0


class OpenedPage:
    """A page of a session.

    Attributes:
        session: whose page it is; None once it has ended.
        app: what Streamlit shows.
    """

    def __init__(self, session: Session | None, sessions: Sessions | None = None) -> None:
        self.session = session
        sessions = sessions or Sessions(lambda: 0.0, idle_s=60, longest_s=60)
        run_as(Viewer(ViewerConfig(), sessions, lambda: self.session))
        self.app = AppTest.from_file(str(SCRIPT), default_timeout=_TIMEOUT_S)
        self.again()

    @property
    def memory(self) -> Memory:
        assert self.session is not None
        return memory_of(self.session)

    def again(self) -> None:
        """The page is made anew; nothing that goes wrong is shown as a fault of the program."""
        self.app.run()
        self._is_whole()

    def press(self, label: str, *, key: str = "") -> None:
        """Press the button with this label, or with this key."""
        self.button(label, key=key).click().run()
        self._is_whole()

    def button(self, label: str, *, key: str = "") -> Button:
        found = [one for one in self.app.button if (one.key == key if key else one.label == label)]
        assert len(found) == 1, f"{len(found)} buttons are {key or label!r}, of {self.labels}"
        return found[0]

    def write(self, label: str, words: str) -> None:
        """Write into the field with this label; what is in no form is sent at once."""
        (field,) = (one for one in (*self.app.text_input, *self.app.text_area) if one.label == label)
        field.set_value(words)
        if not field.form_id:
            field.run()
            self._is_whole()

    def choose(self, label: str, value: Any) -> None:
        """Choose from the list with this label."""
        (found,) = (one for one in self.app.selectbox if one.label == label)
        found.set_value(value).run()
        self._is_whole()

    def choose_finding(self, asked: Asked, number: int = 0) -> str:
        """Choose a finding of a result that is shown; gives its id."""
        assert self.session is not None
        finding = self.session.client.review(asked.job).findings[number].finding_id
        self.press("", key=f"finding-{finding}")
        assert self.memory.selected[asked.job] == self.stage["selected"] == finding
        return finding

    def shows(self, words: str) -> bool:
        """Whether these words stand anywhere on the page."""
        return any(words in one for one in self.words)

    @property
    def words(self) -> list[str]:
        app = self.app
        kinds = (app.header, app.subheader, app.markdown, app.text, app.caption, app.info, app.warning, app.error)
        return [str(one.value) for kind in (*kinds, app.success) for one in kind]

    @property
    def labels(self) -> list[str]:
        """Of all buttons."""
        return [one.label for one in (*self.app.button, *self.app.download_button)]

    @property
    def errors(self) -> list[str]:
        return [str(one.value) for one in self.app.error]

    @property
    def stage(self) -> dict[str, Any]:
        """What the stage is told."""
        found: dict[str, Any] = json.loads(self._stage().proto.json)
        return found

    def does(self, *events: dict[str, Any]) -> None:
        """The stage sends its events, as it does after a key was pressed on it."""
        state = WidgetState(id=self._stage().proto.id, json_value=json.dumps({"events": list(events)}))
        states = self.app._tree.get_widget_states()
        states.widgets.append(state)
        self.app._run(states)
        self._is_whole()

    def _stage(self) -> UnknownElement:
        (found,) = self.app.get("bidi_component")
        assert isinstance(found, UnknownElement)
        return found

    def _is_whole(self) -> None:
        assert [one.value for one in self.app.exception] == []
