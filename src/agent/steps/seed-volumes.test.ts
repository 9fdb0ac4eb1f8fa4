import assert from "node:assert/strict";
import { it } from "node:test";
import { layersOf } from "./seed-volumes.ts";

it("finds the layers of the root's overlay, topmost first", () => {
  const text = [
    "22 28 0:20 / /proc rw,relatime - proc proc rw",
    "60 59 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a\\040b/2/fs:/a\\040b/1/fs,upperdir=/u,workdir=/w",
    "61 60 0:51 / /data rw - ext4 /dev/vda rw",
  ].join("\n");
  assert.deepEqual(layersOf(text), ["/a b/2/fs", "/a b/1/fs"]);
  assert.deepEqual(layersOf("1 1 0:1 / / rw - ext4 /dev/vda rw"), []);
});
