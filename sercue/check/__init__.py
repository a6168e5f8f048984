"""What can be said of a study before an hour of compute, and what would end it hours later."""

from __future__ import annotations

from sercue.check.study import StudyCheck, check_study

__all__ = ["StudyCheck", "check_study"]
