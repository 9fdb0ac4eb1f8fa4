import type * as Sdk from "@aws-sdk/client-servicediscovery";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { OperationRecord } from "#model/cloud-map-records.ts";
import type { Store } from "#store/store.ts";
import { page, type Question } from "./context.ts";
import { errors } from "./errors.ts";
import { filtered } from "./filters.ts";
import { operationView } from "./views.ts";

/** What was asked for, and what became of it. Source: AWS Cloud Map API Reference, "GetOperation", "ListOperations". */

export async function getOperation(
  question: Question,
  { OperationId = "", OwnerAccount }: Sdk.GetOperationRequest,
): Promise<Sdk.GetOperationResponse> {
  const { scope } = question;
  const own = (OwnerAccount === undefined || OwnerAccount === scope.account) && !OperationId.includes("/");
  const record = own ? await question.get<OperationRecord>(cloudMapKeys.operation(scope, OperationId)) : undefined;
  if (!record) throw errors.noOperation(OperationId);
  return { Operation: operationView(scope, record) };
}

export async function listOperations(question: Question, input: Sdk.ListOperationsRequest): Promise<Sdk.ListOperationsResponse> {
  const all = await question.list<OperationRecord>(cloudMapKeys.operations(question.scope));
  const found = filtered(all, input.Filters, {
    NAMESPACE_ID: { conditions: ["EQ"], value: ({ targets }) => targets.NAMESPACE },
    SERVICE_ID: { conditions: ["EQ"], value: ({ targets }) => targets.SERVICE },
    STATUS: { conditions: ["EQ", "IN"], value: ({ status }) => status, only: ["SUBMITTED", "PENDING", "SUCCESS", "FAIL"] },
    TYPE: {
      conditions: ["EQ", "IN"],
      value: ({ type }) => type,
      only: ["CREATE_NAMESPACE", "DELETE_NAMESPACE", "UPDATE_NAMESPACE", "UPDATE_SERVICE", "REGISTER_INSTANCE", "DEREGISTER_INSTANCE"],
    },
    UPDATE_DATE: { conditions: ["BETWEEN"], value: ({ at }) => String(at) },
  });
  const { items, NextToken } = page(question, found, ({ id }) => id, { operation: "ListOperations", asked: input.Filters, ...input });
  return { Operations: items.map(({ id, status }) => ({ Id: id, Status: status })), NextToken };
}

const keptMs = 7 * 24 * 60 * 60 * 1000;

/** Forgets operations of long ago. */
export async function sweepOperations(store: Store, now: number): Promise<void> {
  let after: string | undefined;
  do {
    const found = await store.list<OperationRecord>(cloudMapKeys.allOperations, { limit: 500, after });
    const old = found.entries.filter(({ value }) => value.at < now - keptMs);
    if (old.length > 0) await store.transaction({ writes: old.map(({ key }) => ({ delete: key })) });
    after = found.more ? found.entries.at(-1)?.key : undefined;
  } while (after !== undefined);
}
