import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CommandError, joinCommand, splitCommand } from "./command.ts";

test("words, quotes, backslashes, comments", () => {
  assert.deepEqual(splitCommand(`/bin/sh -c "echo 'a  b' \\"c\\"" d\\ e '' f'g'"h"`), [
    "/bin/sh",
    "-c",
    `echo 'a  b' "c"`,
    "d e",
    "",
    "fgh",
  ]);
  assert.deepEqual(splitCommand("ls  # all\n -l"), ["ls", "-l"]);
  assert.deepEqual(splitCommand("echo $HOME *"), ["echo", "$HOME", "*"]);
  for (const broken of ["echo 'a", 'echo "a', "echo \\"]) assert.throws(() => splitCommand(broken), CommandError);
});

test("what is joined is split again", () => {
  fc.assert(fc.property(fc.array(fc.string()), (words) => assert.deepEqual(splitCommand(joinCommand(words)), words)));
});
