import type { OsRelease } from "../image-packages/os-release.ts";
import type { InstalledPackage } from "../image-packages/packages.ts";
import type { VersionScheme } from "../versions/index.ts";

/** A distribution's release as OSV names it. */
export interface Ecosystem {
  /** Any of these may hold records of this release. */
  readonly names: readonly string[];
  readonly scheme: VersionScheme;
  /** What its records call a package: the source package, or either. */
  readonly by: "source" | "both";
}

/** Source: OSV schema, "Defined ecosystems". AlmaLinux's and Red Hat's records name binary packages as well, whatever it says there. */
export function ecosystemOf({ id, versionId }: OsRelease): Ecosystem | undefined {
  const major = versionId?.split(".")[0];
  switch (id) {
    case "wolfi":
      return { names: ["Wolfi"], scheme: "apk", by: "both" };
    case "chainguard":
      return { names: ["Chainguard"], scheme: "apk", by: "both" };
  }
  if (versionId === undefined || major === undefined || !/^[0-9]/.test(versionId)) return undefined;
  switch (id) {
    case "debian":
      return { names: [`Debian:${major}`], scheme: "dpkg", by: "source" };
    case "ubuntu":
      return { names: [`Ubuntu:${versionId}:LTS`, `Ubuntu:${versionId}`], scheme: "dpkg", by: "source" };
    case "alpine": {
      const release = /^(\d+\.\d+)(?:\.\d+)?$/.exec(versionId)?.[1];
      return { names: [release === undefined ? "Alpine:edge" : `Alpine:v${release}`], scheme: "apk", by: "source" };
    }
    case "rocky":
      return { names: [`Rocky Linux:${major}`], scheme: "rpm", by: "both" };
    case "almalinux":
      return { names: [`AlmaLinux:${major}`], scheme: "rpm", by: "both" };
    case "rhel":
      return {
        names: ["baseos", "appstream", "crb"].map((part) => `Red Hat:enterprise_linux:${major}::${part}`),
        scheme: "rpm",
        by: "both",
      };
    case "opensuse-leap":
      return { names: [`openSUSE:Leap ${versionId}`], scheme: "rpm", by: "both" };
    default:
      return undefined;
  }
}

/** Name and version under which a package may stand in the records. */
export function namesOf(installed: InstalledPackage, { by }: Ecosystem): readonly { readonly name: string; readonly version: string }[] {
  const source = { name: installed.source, version: installed.sourceVersion };
  if (by === "source" || installed.name === installed.source) return [source];
  return [{ name: installed.name, version: installed.version }, source];
}
