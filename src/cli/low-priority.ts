import { setPriority } from "node:os";

// Imported before a test file: it and what it starts wait for everybody else.
setPriority(10);
