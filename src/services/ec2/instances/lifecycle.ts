import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { instanceTypes } from "#model/instance-types.ts";
import type { NetworkInterfaceRecord } from "#model/vpc-records.ts";
import { finishTermination, terminate, userTermination } from "#reconcilers/instances/launch.ts";
import { metadataOf } from "#reconcilers/instances/template.ts";
import { checkGroups } from "#reconcilers/vpc/interfaces.ts";
import { type Change, need, type Question } from "../context.ts";
import { ec2Errors } from "../errors.ts";
import { groupViews, surroundings } from "../network-interfaces/view.ts";
import { metadataView, observedOf, stateIn, stateView } from "./view.ts";

/** Starting, stopping and ending instances, and what can be changed of them. Source: Amazon EC2 API Reference. */

async function named(change: Change, ids: readonly string[] | undefined): Promise<InstanceRecord[]> {
  if (!ids?.length) throw ec2Errors.missing("InstanceId");
  const found: InstanceRecord[] = [];
  for (const id of new Set(ids)) found.push(await need(change, "instance", id));
  return found;
}

async function transition(
  change: Change,
  ids: readonly string[] | undefined,
  move: (record: InstanceRecord, state: ReturnType<typeof stateIn>) => Promise<InstanceRecord> | InstanceRecord,
): Promise<Sdk.InstanceStateChange[]> {
  const observed = await observedOf(change);
  const changes: Sdk.InstanceStateChange[] = [];
  for (const record of await named(change, ids)) {
    const before = stateIn(record, { observed });
    const next = await move(record, before);
    if (next !== record) change.put("instance", record.id, next);
    const after = stateIn(next, { observed });
    changes.push({ InstanceId: record.id, PreviousState: stateView(before), CurrentState: stateView(after) });
  }
  return changes;
}

const wrongState = (id: string, what: string) =>
  new ApiError("IncorrectInstanceState", `The instance '${id}' is not in a state from which it can be ${what}.`);

export async function terminateInstances(
  change: Change,
  { InstanceIds: ids }: Sdk.TerminateInstancesRequest,
): Promise<Sdk.TerminateInstancesResult> {
  const TerminatingInstances = await transition(change, ids, async (record) => {
    if (record.disableApiTermination && record.desired !== "terminated")
      throw ec2Errors.notPermitted(
        `The instance '${record.id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`,
      );
    const next = terminate(change.unit, change.scope, record, change.now, userTermination);
    if (next.node !== undefined || next.terminatedAt !== undefined) return next;
    // It never came to a machine.
    await finishTermination(change.unit, change.scope, next, change.now);
    return { ...next, terminatedAt: change.now };
  });
  return { TerminatingInstances };
}

export async function stopInstances(
  change: Change,
  { InstanceIds: ids, Hibernate }: Sdk.StopInstancesRequest,
): Promise<Sdk.StopInstancesResult> {
  if (Hibernate) throw ec2Errors.notYet("hibernation");
  const StoppingInstances = await transition(change, ids, (record) => {
    if (record.desired === "terminated") throw wrongState(record.id, "stopped");
    if (record.disableApiStop)
      throw ec2Errors.notPermitted(
        `The instance '${record.id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.`,
      );
    if (record.desired === "stopped") return record;
    return { ...record, desired: "stopped", reason: { ...userTermination, at: change.now } };
  });
  return { StoppingInstances };
}

export async function startInstances(change: Change, { InstanceIds: ids }: Sdk.StartInstancesRequest): Promise<Sdk.StartInstancesResult> {
  const StartingInstances = await transition(change, ids, (record, state) => {
    if (record.desired === "running") return record;
    if (state !== "stopped") throw wrongState(record.id, "started");
    return { ...record, desired: "running", boot: record.boot + 1, launchedAt: change.now };
  });
  return { StartingInstances };
}

export async function rebootInstances(change: Change, { InstanceIds: ids }: Sdk.RebootInstancesRequest): Promise<object> {
  for (const record of await named(change, ids)) {
    if (record.desired !== "running") throw wrongState(record.id, "rebooted");
    change.put("instance", record.id, { ...record, boot: record.boot + 1 });
  }
  return {};
}

export async function describeInstanceAttribute(
  question: Question,
  { InstanceId: id = "", Attribute: attribute }: Sdk.DescribeInstanceAttributeRequest,
): Promise<Sdk.InstanceAttribute> {
  const record = await need(question, "instance", id);
  const base = { InstanceId: id };
  switch (attribute) {
    case "instanceType":
      return { ...base, InstanceType: { Value: record.instanceType } };
    case "userData":
      return { ...base, UserData: record.userData === undefined ? {} : { Value: record.userData } };
    case "disableApiTermination":
      return { ...base, DisableApiTermination: { Value: record.disableApiTermination } };
    case "disableApiStop":
      return { ...base, DisableApiStop: { Value: record.disableApiStop } };
    case "instanceInitiatedShutdownBehavior":
      return { ...base, InstanceInitiatedShutdownBehavior: { Value: record.shutdownBehavior } };
    case "ebsOptimized":
      return { ...base, EbsOptimized: { Value: record.ebsOptimized } };
    case "sourceDestCheck":
      return { ...base, SourceDestCheck: { Value: record.sourceDestCheck } };
    case "rootDeviceName":
      return { ...base, RootDeviceName: { Value: record.volumes[0]?.deviceName } };
    case "enaSupport":
      return { ...base, EnaSupport: { Value: true } };
    case "enclaveOptions":
      return { ...base, EnclaveOptions: { Enabled: false } };
    case "sriovNetSupport":
    case "kernel":
    case "ramdisk":
    case "productCodes":
      return { ...base, ProductCodes: [] };
    case "groupSet":
      return { ...base, Groups: groupViews(record.groups, await surroundings(question)) };
    case "blockDeviceMapping":
      return {
        ...base,
        BlockDeviceMappings: record.volumes.map((volume) => ({
          DeviceName: volume.deviceName,
          Ebs: { VolumeId: volume.volumeId, Status: "attached", DeleteOnTermination: volume.deleteOnTermination ?? true },
        })),
      };
    default:
      throw ec2Errors.invalid(`Value (${String(attribute)}) for parameter attribute is invalid. Unknown attribute.`);
  }
}

export async function modifyInstanceAttribute(change: Change, input: Sdk.ModifyInstanceAttributeRequest): Promise<object> {
  const record = await need(change, "instance", input.InstanceId ?? "");
  const stopped = record.desired === "stopped";
  const { Attribute: attribute, Value: value } = input;
  const flag = (name: string, own: Sdk.AttributeBooleanValue | undefined) =>
    own?.Value ?? (attribute === name ? value === "true" : undefined);
  const word = (name: string, own: string | undefined) => own ?? (attribute === name ? value : undefined);
  const type = word("instanceType", input.InstanceType?.Value);
  const userData = input.UserData?.Value === undefined ? word("userData", undefined) : Buffer.from(input.UserData.Value).toString("base64");
  if ((type !== undefined || userData !== undefined) && !stopped)
    throw new ApiError("IncorrectInstanceState", `The instance '${record.id}' is not in the 'stopped' state.`);
  if (type !== undefined && !instanceTypes.has(type)) throw ec2Errors.invalid(`Invalid value '${type}' for InstanceType.`);
  const behavior = word("instanceInitiatedShutdownBehavior", input.InstanceInitiatedShutdownBehavior?.Value);
  if (behavior !== undefined && behavior !== "stop" && behavior !== "terminate")
    throw ec2Errors.invalid(`Invalid value '${behavior}' for instanceInitiatedShutdownBehavior.`);
  if (input.Groups?.length) await changeGroups(change, record, input.Groups);
  const next: InstanceRecord = {
    ...record,
    ...(input.Groups?.length ? { groups: input.Groups } : {}),
    ...(type === undefined ? {} : { instanceType: type }),
    ...(userData === undefined ? {} : { userData }),
    ...(behavior === undefined ? {} : { shutdownBehavior: behavior }),
    disableApiTermination: flag("disableApiTermination", input.DisableApiTermination) ?? record.disableApiTermination,
    disableApiStop: flag("disableApiStop", input.DisableApiStop) ?? record.disableApiStop,
    ebsOptimized: flag("ebsOptimized", input.EbsOptimized) ?? record.ebsOptimized,
    sourceDestCheck: flag("sourceDestCheck", input.SourceDestCheck) ?? record.sourceDestCheck,
  };
  change.put("instance", record.id, next);
  return {};
}

async function changeGroups(change: Change, record: InstanceRecord, groups: readonly string[]): Promise<void> {
  await checkGroups(change.unit, change.scope, groups, { id: record.subnetId, vpcId: record.vpcId });
  const eni: NetworkInterfaceRecord = await need(change, "network-interface", record.networkInterfaceId);
  change.put("network-interface", eni.id, { ...eni, groups: [...new Set(groups)] });
}

export async function modifyInstanceMetadataOptions(
  change: Change,
  input: Sdk.ModifyInstanceMetadataOptionsRequest,
): Promise<Sdk.ModifyInstanceMetadataOptionsResult> {
  const record = await need(change, "instance", input.InstanceId ?? "");
  const next = { ...record, metadata: { ...record.metadata, ...metadataOf(input) } };
  change.put("instance", record.id, next);
  return { InstanceId: record.id, InstanceMetadataOptions: metadataView(next) };
}

/** T instances have no credits here: they are as fast as the machine is. */
export async function describeInstanceCreditSpecifications(
  question: Question,
  { InstanceIds: ids = [] }: Sdk.DescribeInstanceCreditSpecificationsRequest,
): Promise<Sdk.DescribeInstanceCreditSpecificationsResult> {
  for (const id of ids) await need(question, "instance", id);
  const records = (await question.all("instance")).filter(
    ({ id, instanceType }) => instanceType.startsWith("t") && (ids.length === 0 || ids.includes(id)),
  );
  return {
    InstanceCreditSpecifications: records.map(({ id, instanceType }) => ({
      InstanceId: id,
      CpuCredits: instanceType.startsWith("t2.") ? "standard" : "unlimited",
    })),
  };
}
