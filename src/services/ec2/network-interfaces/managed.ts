import { ApiError } from "#api/contract.ts";
import type { NetworkInterfaceRecord } from "#model/vpc-records.ts";

/** What a service made for itself (a task's interface, a NAT gateway's, an endpoint's) is its own: users change little of it. */
export function refuseManaged({ requesterManaged }: NetworkInterfaceRecord): void {
  if (requesterManaged) throw new ApiError("AuthFailure", "You do not have permission to access the specified resource.", 403);
}
