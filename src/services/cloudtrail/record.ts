import type { AuditedCall } from "#api/audit.ts";
import { resourcesNamed } from "#api/authorization/index.ts";
import { serviceTable } from "#api/schema.ts";
import { services } from "#api/services.ts";
import { shown } from "./redact.ts";

/** One record as CloudTrail writes it. Source: AWS CloudTrail User Guide, "CloudTrail record contents". */
export interface TrailRecord {
  readonly eventVersion: "1.11";
  readonly userIdentity: Readonly<Record<string, unknown>> & { readonly accessKeyId?: string; readonly userName?: string };
  /** ISO 8601, seconds. */
  readonly eventTime: string;
  readonly eventSource: string;
  readonly eventName: string;
  readonly awsRegion: string;
  readonly sourceIPAddress: string;
  readonly userAgent: string;
  readonly errorCode?: string;
  readonly errorMessage?: string;
  readonly requestParameters: unknown;
  readonly responseElements: unknown;
  readonly additionalEventData?: unknown;
  readonly requestID: string;
  readonly eventID: string;
  readonly readOnly: boolean;
  readonly resources?: readonly TrailResource[];
  readonly eventType: "AwsApiCall";
  readonly managementEvent: true;
  readonly recipientAccountId: string;
  readonly eventCategory: "Management";
  readonly tlsDetails?: { readonly tlsVersion: string; readonly cipherSuite: string; readonly clientProvidedHostHeader: string };
}

export interface TrailResource {
  readonly accountId: string;
  readonly type?: string;
  readonly ARN: string;
}

/** Calls that AWS counts as data events: no trail has them unless it is told to. Source: CloudTrail User Guide, "Logging data events". */
const dataEvents = new Set([
  "logs:PutLogEvents",
  "cloudwatch:PutMetricData",
  "cloudwatch:GetMetricData",
  "cloudwatch:GetMetricWidgetImage",
  "servicediscovery:DiscoverInstances",
  "servicediscovery:DiscoverInstancesRevision",
]);

/** Whether a call is kept at all: refused ones are, whatever they are. */
export const isKept = ({ service, operation, error }: Pick<AuditedCall, "service" | "operation" | "error">) =>
  error !== undefined || !dataEvents.has(`${service}:${operation}`);

const reads =
  /^(Describe|Get|List|Batch(Get|Check)|Lookup|Discover|Filter|Simulate|Search|Head|Check|Test|Estimate|Preview|Validate|Decode)/;
/** Reads by AWS's word whose names do not say so. */
const otherReads = new Set([
  "sts:AssumeRole",
  "sts:AssumeRoleWithWebIdentity",
  "kms:Encrypt",
  "kms:Decrypt",
  "kms:ReEncrypt",
  "kms:Sign",
  "kms:Verify",
]);
/** Reads whose answers a trail shows all the same. */
const answered = new Set(["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:GetSessionToken", "sts:GetFederationToken"]);

export const isReadOnly = (service: string, operation: string) =>
  reads.test(operation) || otherReads.has(`${service}:${operation}`) || (service === "kms" && operation.startsWith("Generate"));

/** The largest part of a record that is kept. CloudTrail: "requestParameters … maximum size of 100 KB". */
const largestPart = 100 * 1024;
const sources = new Map(services.map(({ service, signingName }) => [service, `${signingName}.amazonaws.com`]));

/** Pure, but for the service's table, which is read once. */
export function recordOf(call: AuditedCall, eventID: string, open: boolean): TrailRecord {
  const { service, operation, error, tls } = call;
  const id = `${service}:${operation}`;
  const readOnly = isReadOnly(service, operation);
  const { request, response } = partsOf(call, error === undefined && (!readOnly || answered.has(id)));
  const resources = resourcesOf(call);
  return {
    eventVersion: "1.11",
    userIdentity: identityOf(call),
    eventTime: `${new Date(call.at).toISOString().slice(0, 19)}Z`,
    eventSource: sources.get(service) ?? `${service}.amazonaws.com`,
    eventName: operation,
    awsRegion: call.region,
    sourceIPAddress: call.sourceIp,
    userAgent: call.userAgent,
    ...(error ? { errorCode: error.code, errorMessage: error.message.slice(0, 1024) } : {}),
    requestParameters: request,
    responseElements: response,
    ...(open ? { additionalEventData: { openMode: true } } : {}),
    requestID: call.requestId,
    eventID,
    readOnly,
    ...(resources.length > 0 ? { resources } : {}),
    eventType: "AwsApiCall",
    managementEvent: true,
    recipientAccountId: call.account,
    eventCategory: "Management",
    ...(tls ? { tlsDetails: { tlsVersion: tls.version, cipherSuite: tls.cipher, clientProvidedHostHeader: call.host } } : {}),
  };
}

function partsOf(
  { service, operation, input, output }: AuditedCall,
  answer: boolean,
): { readonly request: unknown; readonly response: unknown } {
  const table = sources.has(service) ? serviceTable(service) : undefined;
  const shapes = table?.operations[operation];
  if (!table || !shapes) return { request: input ?? null, response: null };
  const part = (ref: string, value: unknown) => {
    if (value === undefined || value === null || Object.keys(value).length === 0) return null;
    const made = shown(table, operation, ref, value);
    return JSON.stringify(made).length > largestPart ? null : made;
  };
  return { request: part(shapes.i, input), response: answer ? part(shapes.o, output) : null };
}

/** Source: CloudTrail User Guide, "CloudTrail userIdentity element". */
function identityOf({ principal, account, accessKeyId }: AuditedCall): TrailRecord["userIdentity"] {
  const key = accessKeyId === undefined ? {} : { accessKeyId };
  if (!principal) return { type: "Unknown", principalId: "", accountId: account, ...key };
  const { identity, session, arn, userId } = principal;
  const base = { principalId: userId, arn, accountId: principal.account, ...key };
  const attributes = session && {
    attributes: { creationDate: `${new Date(session.issuedAt).toISOString().slice(0, 19)}Z`, mfaAuthenticated: "false" },
  };
  const source = session?.sourceIdentity === undefined ? {} : { sourceIdentity: session.sourceIdentity };
  const issuer = (type: string, issuerArn: string, userName: string) => ({
    sessionContext: {
      sessionIssuer: { type, principalId: userId.split(":")[0], arn: issuerArn, accountId: principal.account, userName },
      ...attributes,
      ...source,
    },
  });
  switch (identity?.kind) {
    case undefined:
      return { type: "Root", ...base, ...(attributes ? { sessionContext: attributes } : {}) };
    case "User":
      return { type: "IAMUser", ...base, userName: identity.userName, ...(attributes ? { sessionContext: attributes } : {}) };
    case "AssumedRole":
      return { type: "AssumedRole", ...base, ...issuer("Role", identity.roleArn, identity.roleName) };
    case "Agent":
      return { type: "AssumedRole", ...base, ...issuer("Role", identity.roleArn, userId.split(":")[0]!) };
    case "FederatedUser":
      return {
        type: "FederatedUser",
        ...base,
        ...(identity.userName === undefined
          ? issuer("Root", `arn:aws:iam::${principal.account}:root`, "root")
          : issuer("IAMUser", `arn:aws:iam::${principal.account}:user/${identity.userName}`, identity.userName)),
      };
    case "AWSService":
      return { type: "AWSService", invokedBy: identity.service };
    case "Anonymous":
      return { type: "AWSAccount", principalId: "", accountId: "ANONYMOUS_PRINCIPAL" };
  }
}

/** The resources that the operation needs permission on: those that it names. */
function resourcesOf({ service, operation, input, account, region, principal }: AuditedCall): readonly TrailResource[] {
  if (!input) return [];
  const userName = principal?.identity?.kind === "User" ? principal.identity.userName : undefined;
  return resourcesNamed(service, operation, input, { region, account, userName })
    .filter((arn) => arn.startsWith("arn:") && !arn.includes("*"))
    .slice(0, 100)
    .map((ARN) => {
      const type = typeOf(ARN);
      return { accountId: ARN.split(":")[4] || account, ...(type === undefined ? {} : { type }), ARN };
    });
}

const types: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ecs: {
    cluster: "AWS::ECS::Cluster",
    service: "AWS::ECS::Service",
    task: "AWS::ECS::Task",
    "task-definition": "AWS::ECS::TaskDefinition",
    "container-instance": "AWS::ECS::ContainerInstance",
    "capacity-provider": "AWS::ECS::CapacityProvider",
  },
  ecr: { repository: "AWS::ECR::Repository" },
  "ecr-public": { repository: "AWS::ECR::PublicRepository" },
  iam: {
    user: "AWS::IAM::User",
    role: "AWS::IAM::Role",
    group: "AWS::IAM::Group",
    policy: "AWS::IAM::Policy",
    "instance-profile": "AWS::IAM::InstanceProfile",
    "oidc-provider": "AWS::IAM::OIDCProvider",
  },
  logs: { "log-group": "AWS::Logs::LogGroup" },
  secretsmanager: { secret: "AWS::SecretsManager::Secret" },
  ssm: { parameter: "AWS::SSM::Parameter" },
  kms: { key: "AWS::KMS::Key", alias: "AWS::KMS::Alias" },
  acm: { certificate: "AWS::ACM::Certificate" },
  ec2: {
    vpc: "AWS::EC2::VPC",
    subnet: "AWS::EC2::Subnet",
    instance: "AWS::EC2::Instance",
    "security-group": "AWS::EC2::SecurityGroup",
    "network-interface": "AWS::EC2::NetworkInterface",
  },
};

function typeOf(arn: string): string | undefined {
  const [, , service = "", , , ...rest] = arn.split(":");
  return types[service]?.[rest.join(":").split(/[:/]/)[0] ?? ""];
}

/** As LookupEvents and its Username attribute name who called. */
export function userNameOf({ userIdentity }: TrailRecord): string | undefined {
  if (userIdentity.userName !== undefined) return userIdentity.userName;
  if (userIdentity["type"] === "Root") return "root";
  const id = userIdentity["principalId"];
  return typeof id === "string" && id.includes(":") ? id.slice(id.indexOf(":") + 1) : undefined;
}
