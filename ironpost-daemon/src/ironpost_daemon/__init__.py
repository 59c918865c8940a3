"""The ironpost daemon and the operator's tool. Nothing here is a public interface; plugins use `ironpost_core`."""
