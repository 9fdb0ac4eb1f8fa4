import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import type { FromAgent, PayloadTask } from "#agent-protocol/messages.ts";
import type { Report } from "#agent/task/report.ts";

export interface LogCall {
  readonly logGroupName: string;
  readonly logStreamName: string;
  readonly logEvents: readonly { readonly timestamp: number; readonly message: string }[];
}

/** The control plane's side of ACS, TCS and the few API calls that an agent makes, for tests of the agent alone. */
export class FakeControlPlane {
  readonly calls: { readonly operation: string; readonly input: Record<string, unknown>; readonly authorization: string }[] = [];
  readonly reports: Report[] = [];
  readonly frames: FromAgent[] = [];
  readonly telemetry: { readonly head: string; readonly body: { type: string; message: Record<string, unknown> } }[] = [];
  readonly puts: LogCall[] = [];
  readonly groups = new Set<string>();
  readonly streams = new Set<string>();
  /** Instances that it knows; the others are refused. */
  readonly instances = new Set<string>();
  /** Answers for an operation before the usual one, in order: error code or undefined for the usual. */
  readonly failures = new Map<string, (string | undefined)[]>();
  acs: WebSocket | undefined;
  /** By the instance's ARN. */
  readonly sockets = new Map<string, WebSocket>();
  connections = 0;
  #next = 1;
  #message = 1;
  #timeline = 1;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });

  constructor() {
    this.#http = createServer((request, response) => void this.#handle(request, response));
    this.#http.on("upgrade", (request, socket, head) => {
      const url = new URL(request.url ?? "", "http://x");
      const instance = url.searchParams.get("containerInstanceArn") ?? url.searchParams.get("containerInstance") ?? "";
      if (!this.instances.has(instance)) {
        const body = JSON.stringify({ InvalidInstanceException: "Container instance not found" });
        socket.end(`HTTP/1.1 400 Bad Request\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (ws) => {
        if (!url.pathname.startsWith("/acs")) return this.#tcs(ws);
        this.sockets.set(instance, ws);
        ws.on("close", () => this.sockets.get(instance) === ws && this.sockets.delete(instance));
        return this.#acs(ws);
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, "127.0.0.1", () => resolve()));
    return this.endpoint;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  #acs(ws: WebSocket): void {
    this.acs = ws;
    this.connections++;
    ws.on("message", (data) => this.frames.push(JSON.parse((data as Buffer).toString()) as FromAgent));
    ws.on("close", () => this.acs === ws && (this.acs = undefined));
  }

  #tcs(ws: WebSocket): void {
    ws.on("message", (data) => {
      const [head = "", body = "{}"] = (data as Buffer).toString().split("\r\n\r\n");
      this.telemetry.push({ head, body: JSON.parse(body) as { type: string; message: Record<string, unknown> } });
    });
  }

  send(type: string, message: object): void {
    this.acs?.send(JSON.stringify({ type, message }));
  }

  payload(...tasks: readonly PayloadTask[]): string {
    const messageId = `m${this.#message++}`;
    const seqNum = this.#timeline++;
    this.send("PayloadMessage", {
      messageId,
      clusterArn: "default",
      containerInstanceArn: "x",
      tasks,
      seqNum,
      generatedAt: Date.now(),
      timeline: seqNum,
    });
    return messageId;
  }

  manifest(tasks: readonly string[]): string {
    const messageId = `m${this.#message++}`;
    const list = tasks.map((taskArn) => ({ taskArn, taskClusterArn: "default", desiredStatus: "RUNNING" }));
    this.send("TaskManifestMessage", {
      messageId,
      clusterArn: "default",
      containerInstanceArn: "x",
      generatedAt: Date.now(),
      timeline: this.#timeline++,
      tasks: list,
    });
    return messageId;
  }

  /** A reset: no instance is known any more, connections end. */
  forgetAll(): void {
    this.instances.clear();
    this.acs?.close(1000);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const operation = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
    const input = JSON.parse(Buffer.concat(pieces).toString() || "{}") as Record<string, unknown>;
    this.calls.push({ operation, input, authorization: String(request.headers.authorization) });
    const failure = this.failures.get(operation)?.shift() ?? this.#refusal(operation, input);
    if (failure) {
      const [code, message = "no"] = failure.split("|");
      response.writeHead(code === "ServerException" ? 500 : 400).end(JSON.stringify({ __type: code, message }));
      return;
    }
    response.end(JSON.stringify(this.#answer(operation, input)));
  }

  #refusal(operation: string, input: Record<string, unknown>): string | undefined {
    if (
      operation === "RegisterContainerInstance" &&
      input.containerInstanceArn &&
      !this.instances.has(input.containerInstanceArn as string)
    ) {
      return "InvalidParameterException|The specified container instance does not exist";
    }
    const group = String(input.logGroupName);
    if ((operation === "CreateLogStream" || operation === "PutLogEvents") && !this.groups.has(group)) {
      return "ResourceNotFoundException|The specified log group does not exist.";
    }
    if (operation === "CreateLogStream" && this.streams.has(`${group}/${String(input.logStreamName)}`))
      return "ResourceAlreadyExistsException|exists";
    return undefined;
  }

  #answer(operation: string, input: Record<string, unknown>): unknown {
    switch (operation) {
      case "RegisterContainerInstance": {
        const containerInstanceArn =
          (input.containerInstanceArn as string | undefined) ??
          `arn:aws:ecs:us-east-1:000000000000:container-instance/default/i${this.#next++}`;
        this.instances.add(containerInstanceArn);
        return { containerInstance: { containerInstanceArn, attributes: input.attributes } };
      }
      case "DiscoverPollEndpoint":
        return { endpoint: `${this.endpoint}/acs`, telemetryEndpoint: `${this.endpoint}/tcs` };
      case "SubmitTaskStateChange":
        this.reports.push(input as unknown as Report);
        return { acknowledgment: "ACK" };
      case "CreateLogGroup":
        this.groups.add(String(input.logGroupName));
        return {};
      case "CreateLogStream":
        this.streams.add(`${String(input.logGroupName)}/${String(input.logStreamName)}`);
        return {};
      case "PutLogEvents":
        this.puts.push(input as unknown as LogCall);
        return {};
      case "GetAuthorizationToken":
        return {
          authorizationData: [{ authorizationToken: Buffer.from("AWS:secret").toString("base64"), expiresAt: Date.now() / 1000 + 43_200 }],
        };
      default:
        return {};
    }
  }

  async close(): Promise<void> {
    this.acs?.terminate();
    for (const client of this.#sockets.clients) client.terminate();
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }
}
