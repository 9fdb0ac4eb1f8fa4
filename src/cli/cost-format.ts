/** The answer to `/_gantry/cost` (src/services/ecs/cost.ts). */
export interface CostAnswer {
  readonly since: number;
  readonly until: number;
  readonly by: string;
  readonly prices: { readonly name: string; readonly date: string; readonly currency: string };
  readonly rows: readonly {
    readonly key: string;
    readonly cluster?: string;
    readonly launchType: string;
    readonly unused: boolean;
    readonly tasksBegun: number;
    readonly taskHours: string;
    readonly vcpuHours: string;
    readonly gbHours: string;
    readonly storageGbHours: string;
    readonly cost: string;
    readonly elsewhere: string;
    readonly elsewhereLacks: boolean;
  }[];
  readonly total: { readonly cost: string; readonly elsewhere: string; readonly elsewhereLacks: boolean };
  readonly instances: readonly {
    readonly cluster: string;
    readonly id: string;
    readonly ec2InstanceId: string;
    readonly type?: string;
    readonly hours: string;
    readonly cost: string;
  }[];
}

type Row = CostAnswer["rows"][number];

const minute = (at: number) => new Date(at).toISOString().slice(0, 16).replace("T", " ");

/** What the rows are by: the heading of the first column. */
const heading = (by: string) => (by.startsWith("tag:") ? by : by.toUpperCase());

export function formatTable(answer: CostAnswer): string {
  const { rows, total, prices, by } = answer;
  const lines = [`${minute(answer.since)} to ${minute(answer.until)} UTC, in ${prices.currency}; prices: ${prices.name} (${prices.date})`];
  if (rows.length === 0) return [...lines, "", "nothing ran in this period"].join("\n");
  const clusters = rows.some(({ cluster }) => cluster !== undefined);
  const launchTypes = by !== "launch-type" || rows.some(({ unused }) => unused);
  const elsewhere = ({ elsewhere: amount, elsewhereLacks }: Pick<Row, "elsewhere" | "elsewhereLacks">) =>
    elsewhereLacks ? `${amount} *` : `${amount}  `;
  const cells = [
    [
      ...(clusters ? ["CLUSTER"] : []),
      heading(by),
      ...(launchTypes ? ["RUN ON"] : []),
      "TASK-HOURS",
      "VCPU-HOURS",
      "GB-HOURS",
      "COST",
      "ELSEWHERE  ",
    ],
    ...rows.map((row) => [
      ...(clusters ? [row.cluster ?? ""] : []),
      printable(row.key),
      ...(launchTypes ? [row.unused ? `${row.launchType} unused` : row.launchType] : []),
      ...(row.unused ? ["", "", ""] : [row.taskHours, row.vcpuHours, row.gbHours].map(hours)),
      row.cost,
      row.unused ? "-  " : elsewhere(row),
    ]),
    [...(clusters ? [""] : []), "TOTAL", ...(launchTypes ? [""] : []), "", "", "", total.cost, elsewhere(total)],
  ];
  const numbers = 5;
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => width(row[column]!))));
  const table = cells.map((row) =>
    row
      .map((cell, column) => {
        const space = " ".repeat(widths[column]! - width(cell));
        return column >= row.length - numbers ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd(),
  );
  const rule = "-".repeat(Math.max(...table.map(width)));
  lines.push("", table[0]!, ...table.slice(1, -1), rule, table.at(-1)!);
  const onInstances = rows.filter(({ launchType }) => launchType === "EC2" || launchType === "EXTERNAL");
  lines.push("");
  if (onInstances.length > 0)
    lines.push(
      "EC2: the instances cost, not the tasks. A task's row is its share of its instance, by vCPU and memory; unused is what no task took.",
      "ELSEWHERE for EC2 tasks: Fargate's price of the smallest size that holds them.",
    );
  if (onInstances.length < rows.length)
    lines.push("ELSEWHERE for Fargate tasks: their share of the cheapest EC2 instance type for them, when it is full of such tasks.");
  if (total.elsewhereLacks) lines.push("* without tasks that Fargate could not run: too large, or with GPUs");
  return lines.join("\n");
}

export function formatCsv({ rows, by, prices }: CostAnswer): string {
  const table = [
    [
      "cluster",
      by,
      "launch_type",
      "unused",
      "tasks_begun",
      "task_hours",
      "vcpu_hours",
      "gb_hours",
      "storage_gb_hours",
      "cost",
      "elsewhere",
      "elsewhere_lacks",
      "currency",
    ],
    ...rows.map((row) => [
      row.cluster ?? (by === "cluster" ? row.key : ""),
      row.key,
      row.launchType,
      String(row.unused),
      String(row.tasksBegun),
      row.taskHours,
      row.vcpuHours,
      row.gbHours,
      row.storageGbHours,
      row.cost,
      row.elsewhere,
      String(row.elsewhereLacks),
      prices.currency,
    ]),
  ];
  // The command's print ends the last line.
  return table.map((row) => row.map(field).join(",")).join("\r\n") + "\r";
}

/** RFC 4180: what holds a separator, a quote, a line break or outer blanks is quoted. */
const field = (text: string) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Two decimals, and as many as show the first digits of what is less. */
function hours(text: string): string {
  const value = Number(text);
  return value > 0 && value < 0.1 ? value.toFixed(4) : value.toFixed(2);
}

const printable = (text: string) => text.replaceAll(/\p{Cc}/gu, "?");
const width = (text: string) => [...text].length;
