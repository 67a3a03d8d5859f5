"""Errors as they travel to tandem."""

import unittest

from tandem_pytorch.errors import InputError, describe


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
        self.assertIn("ValueError", described["detail"])


if __name__ == "__main__":
    unittest.main()
