import { each, none, type ServiceActions } from "./table.ts";

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS CloudTrail". */
export const cloudtrail: ServiceActions = { prefix: "cloudtrail", operations: each(none, "LookupEvents") };
