import { compareApk } from "./apk.ts";
import { compareDpkg } from "./dpkg.ts";
import { compareRpm } from "./rpm.ts";

export type VersionScheme = "dpkg" | "apk" | "rpm";
export type CompareVersions = (a: string, b: string) => number;

export const comparisons: Readonly<Record<VersionScheme, CompareVersions>> = { dpkg: compareDpkg, apk: compareApk, rpm: compareRpm };
