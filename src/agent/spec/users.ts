import type { OciUser } from "./oci.ts";

/** The text of an image's /etc/passwd and /etc/group, empty where it has none. */
export interface Accounts {
  readonly passwd: string;
  readonly group: string;
}

export class UnknownUser extends Error {}

const maxId = 2 ** 31 - 1;

/** `user`, `uid`, `user:group`, `uid:gid` as Docker resolves it against the image. Throws UnknownUser with Docker's words. */
export function resolveUser(text: string, accounts: Accounts): OciUser {
  const colon = text.indexOf(":");
  const userPart = colon < 0 ? text : text.slice(0, colon);
  const groupPart = colon < 0 ? "" : text.slice(colon + 1);

  let uid = 0;
  let gid = 0;
  let name = "root";
  const wanted = userPart === "" ? "0" : userPart;
  const numeric = parseId(wanted);
  const entry = lines(accounts.passwd).find(
    (fields) => fields[0] === wanted || (numeric !== undefined && parseId(fields[2] ?? "") === numeric),
  );
  if (entry) {
    name = entry[0] ?? "";
    uid = parseId(entry[2] ?? "") ?? 0;
    gid = parseId(entry[3] ?? "") ?? 0;
  } else if (numeric !== undefined) {
    name = "";
    uid = numeric;
  } else if (wanted !== "root") {
    throw new UnknownUser(`unable to find user ${userPart}: no matching entries in passwd file`);
  }

  const groups = lines(accounts.group);
  const additional: number[] = [];
  if (groupPart !== "") {
    const id = parseId(groupPart);
    const found = groups.find((fields) => fields[0] === groupPart || (id !== undefined && parseId(fields[2] ?? "") === id));
    const resolved = found ? parseId(found[2] ?? "") : id;
    if (resolved === undefined) throw new UnknownUser(`unable to find group ${groupPart}: no matching entries in group file`);
    gid = resolved;
  } else if (name !== "") {
    for (const fields of groups) {
      const id = parseId(fields[2] ?? "");
      if (id !== undefined && (fields[3] ?? "").split(",").includes(name)) additional.push(id);
    }
  }
  if (uid > maxId || gid > maxId) throw new UnknownUser("uids and gids must be in range 0-2147483647");
  return { uid, gid, additionalGids: [...new Set([gid, ...additional])] };
}

function parseId(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

function lines(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
