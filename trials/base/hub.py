"""Names of the Hugging Face hub."""

from __future__ import annotations

import re

HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
