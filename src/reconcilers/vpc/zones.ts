/**
 * The three availability zones that every region has here, whatever its name: `us-east-1a` with the id `use1-az1`. The id's short form of the region
 * is AWS's: the country, the first letters of the direction, the number. Source: Amazon EC2 User Guide, "Availability Zones".
 */
export interface Zone {
  readonly name: string;
  readonly id: string;
}

const directions: Readonly<Record<string, string>> = {
  north: "n",
  south: "s",
  east: "e",
  west: "w",
  central: "c",
  northeast: "ne",
  northwest: "nw",
  southeast: "se",
  southwest: "sw",
};

export function zonesOf(region: string): readonly Zone[] {
  const parts = region.split("-");
  const short = parts.map((part, at) => (at === 0 || at === parts.length - 1 ? part : (directions[part] ?? `${part[0]}`))).join("");
  return ["a", "b", "c"].map((letter, at) => ({ name: region + letter, id: `${short}-az${at + 1}` }));
}
