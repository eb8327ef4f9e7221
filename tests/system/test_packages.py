"""Optional packages."""

import pytest

from dlrun.errors import DlrunError
from dlrun.system.packages import require_package


def test_a_missing_package_is_named_with_what_needs_it_and_how_to_install_it() -> None:
    require_package("json", "--ray", "ray")
    with pytest.raises(DlrunError) as caught:
        require_package("no_such_package", "--ray", "ray")
    assert str(caught.value) == "--ray needs no_such_package, which is not installed"
    assert caught.value.hint == "pip install 'dlrun[ray]'"
