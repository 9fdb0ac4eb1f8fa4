import { ecsErrors } from "../errors.ts";

/** What the EC2 instance identity document says of a machine. An external instance sends none. */
export interface MachineIdentity {
  readonly instanceId?: string;
  readonly instanceType?: string;
  /** The attributes that ECS adds from the document. */
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
}

/** Throws ClientException for a document that is not JSON. Source: EC2 User Guide, "Instance identity documents". */
export function machineIdentity(document: string | undefined): MachineIdentity {
  if (!document) return { attributes: [] };
  const parsed = parse(document);
  const text = (name: string) => {
    const value = parsed[name];
    return typeof value === "string" && /^[A-Za-z0-9_.@:/-]{1,128}$/.test(value) ? value : undefined;
  };
  const instanceId = text("instanceId");
  const instanceType = text("instanceType");
  const attributes = Object.entries({
    "ecs.ami-id": text("imageId"),
    "ecs.availability-zone": text("availabilityZone"),
    "ecs.instance-type": instanceType,
  }).flatMap(([name, value]) => (value === undefined ? [] : { name, value }));
  return {
    ...(instanceId && /^m?i-[0-9a-f]{8,17}$/.test(instanceId) ? { instanceId } : {}),
    ...(instanceType ? { instanceType } : {}),
    attributes,
  };
}

function parse(document: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(document);
    if (typeof parsed === "object" && parsed !== null) return parsed as Readonly<Record<string, unknown>>;
  } catch {
    // Refused below, as is JSON that is no object.
  }
  throw ecsErrors.client("The instance identity document is not valid JSON.");
}
