/** How a request names its service, beside its path. The tables hold the rest. Kept by hand because it must be known without loading 19 tables. */
export interface ServiceName {
  readonly service: string;
  /** Prefix of X-Amz-Target. */
  readonly target: string;
  /** Name in the credential scope. */
  readonly signingName: string;
  readonly rest?: true;
  /** API version of those that speak Query: it tells unsigned forms apart. */
  readonly version?: string;
}

/** A test compares these with the tables. */
export const services: readonly ServiceName[] = [
  { service: "ecs", target: "AmazonEC2ContainerServiceV20141113", signingName: "ecs" },
  { service: "ecr", target: "AmazonEC2ContainerRegistry_V20150921", signingName: "ecr" },
  { service: "ecr-public", target: "SpencerFrontendService", signingName: "ecr-public" },
  { service: "logs", target: "Logs_20140328", signingName: "logs" },
  { service: "sts", target: "AWSSecurityTokenServiceV20110615", signingName: "sts", version: "2011-06-15" },
  { service: "cloudwatch", target: "GraniteServiceVersion20100801", signingName: "monitoring", version: "2010-08-01" },
  { service: "ec2", target: "AmazonEC2", signingName: "ec2", version: "2016-11-15" },
  { service: "iam", target: "AWSIdentityManagementV20100508", signingName: "iam", version: "2010-05-08" },
  { service: "elbv2", target: "ElasticLoadBalancing_v10", signingName: "elasticloadbalancing", version: "2015-12-01" },
  { service: "servicediscovery", target: "Route53AutoNaming_v20170314", signingName: "servicediscovery" },
  { service: "application-autoscaling", target: "AnyScaleFrontendService", signingName: "application-autoscaling" },
  { service: "autoscaling", target: "AutoScaling_2011_01_01", signingName: "autoscaling", version: "2011-01-01" },
  { service: "events", target: "AWSEvents", signingName: "events" },
  { service: "scheduler", target: "AWSChronosService", signingName: "scheduler", rest: true },
  { service: "secretsmanager", target: "secretsmanager", signingName: "secretsmanager" },
  { service: "ssm", target: "AmazonSSM", signingName: "ssm" },
  { service: "kms", target: "TrentService", signingName: "kms" },
  { service: "acm", target: "CertificateManager", signingName: "acm" },
  { service: "route53", target: "AWSDnsV20130401", signingName: "route53", rest: true },
  { service: "cloudtrail", target: "CloudTrail_20131101", signingName: "cloudtrail" },
];

export const serviceByTarget = new Map(services.map((each) => [each.target, each]));
export const serviceBySigningName = new Map(services.map((each) => [each.signingName, each]));
export const serviceByVersion = new Map(services.flatMap((each) => (each.version === undefined ? [] : [[each.version, each] as const])));
