"""Errors as they travel to tandem."""

import unittest

from tandem_pytorch.errors import InputError, describe
from tandem_pytorch.models import source


class TestDescribe(unittest.TestCase):
    """What describe says beside the message."""

    def test_a_full_disk_has_no_traceback(self) -> None:
        """The system's own reason is enough."""
        try:
            try:
                raise OSError(28, "No space left on device")
            except OSError as error:
                raise InputError("cannot write model.onnx: No space left on device") from error
        except InputError as error:
            described = describe(error)
        self.assertEqual(described["kind"], "input")
        self.assertFalse(described["detail"])

    def test_a_mistake_in_the_users_model_has_one(self) -> None:
        """Where the user's own code failed is seen in the traceback alone."""
        try:
            try:
                raise ValueError("wrong shape")
            except ValueError as error:
                raise InputError("the model cannot be built: wrong shape") from error
        except InputError as error:
            described = describe(error)
        self.assertIn("raise ValueError", described["detail"])
        self.assertNotIn("Traceback", described["detail"])

    def test_what_tandem_found_has_none(self) -> None:
        """Tandem's own lines, PyTorch's and Python's are not the user's to mend."""
        with self.assertRaises(InputError) as caught:
            source.call("model", "mnist_mlp:build", {"widht": 3}, 0)
        self.assertEqual(describe(caught.exception)["detail"], "")


if __name__ == "__main__":
    unittest.main()
