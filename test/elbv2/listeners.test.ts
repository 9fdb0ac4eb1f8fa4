/** Listeners, rules and target groups through HTTP: what goes with what, priorities, what is in use, what is refused. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DeleteCertificateCommand, DescribeCertificateCommand, ImportCertificateCommand } from "@aws-sdk/client-acm";
import {
  type Action,
  AddListenerCertificatesCommand,
  CreateListenerCommand,
  type CreateListenerCommandInput,
  CreateRuleCommand,
  DeleteListenerCommand,
  DeleteRuleCommand,
  DeleteTargetGroupCommand,
  DescribeListenerAttributesCommand,
  DescribeListenerCertificatesCommand,
  DescribeListenersCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  type LoadBalancer,
  ModifyListenerAttributesCommand,
  ModifyListenerCommand,
  ModifyRuleCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  RemoveListenerCertificatesCommand,
  type RuleCondition,
  SetRulePrioritiesCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { type Lab, makeCertificates, refused, startLab } from "./support.ts";

let lab: Lab;
let web: LoadBalancer;
let net: LoadBalancer;
let group: string;
let certificates: string[];
before(async () => {
  lab = await startLab();
  web = await lab.balancer("web");
  net = await lab.balancer("net", { Type: "network" });
  group = await lab.targetGroup("one");
  certificates = [];
  for (const name of ["a.example.com", "b.example.com"]) {
    const [made] = await makeCertificates([name]);
    const { CertificateArn } = await lab.acm.send(new ImportCertificateCommand({ Certificate: made!.certificate, PrivateKey: made!.key }));
    certificates.push(CertificateArn!);
  }
});
after(() => lab.close());

const fixed = (StatusCode = "200"): Action => ({ Type: "fixed-response", FixedResponseConfig: { StatusCode } });
const forward = (...arns: readonly string[]): Action => ({
  Type: "forward",
  ForwardConfig: { TargetGroups: arns.map((TargetGroupArn) => ({ TargetGroupArn })) },
});
const listen = async (Port: number, input: Partial<CreateListenerCommandInput> = {}) => {
  const send = { LoadBalancerArn: web.LoadBalancerArn, Protocol: "HTTP" as const, Port, DefaultActions: [fixed()], ...input };
  return (await lab.elb.send(new CreateListenerCommand(send))).Listeners![0]!;
};
const path = (...Values: readonly string[]): RuleCondition => ({ Field: "path-pattern", Values: [...Values] });
const rule = async (ListenerArn: string | undefined, Priority: number, Conditions = [path(`/${Priority}`)], Actions = [fixed()]) =>
  (await lab.elb.send(new CreateRuleCommand({ ListenerArn, Priority, Conditions, Actions }))).Rules![0]!;
const rules = async (ListenerArn: string | undefined) => (await lab.elb.send(new DescribeRulesCommand({ ListenerArn }))).Rules!;
const close = (ListenerArn: string | undefined) => lab.elb.send(new DeleteListenerCommand({ ListenerArn }));

describe("listeners", () => {
  test("one a port; the same again is the same one; its actions as AWS shows them", async () => {
    const made = await listen(80, { DefaultActions: [{ Type: "forward", TargetGroupArn: group }] });
    assert.match(made.ListenerArn!, /:listener\/app\/web\/[0-9a-f]{16}\/[0-9a-f]{16}$/);
    assert.deepEqual(made.DefaultActions, [
      {
        Type: "forward",
        TargetGroupArn: group,
        ForwardConfig: { TargetGroups: [{ TargetGroupArn: group, Weight: 1 }], TargetGroupStickinessConfig: { Enabled: false } },
      },
    ]);
    assert.deepEqual((await listen(80, { DefaultActions: [forward(group)] })).ListenerArn, made.ListenerArn);
    await refused(listen(80), "DuplicateListener");
    const { TargetGroups } = await lab.elb.send(new DescribeTargetGroupsCommand({ LoadBalancerArn: web.LoadBalancerArn }));
    assert.deepEqual(
      TargetGroups!.map(({ TargetGroupArn, LoadBalancerArns }) => [TargetGroupArn, LoadBalancerArns]),
      [[group, [web.LoadBalancerArn]]],
    );
    await refused(
      lab.elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: group })),
      "ResourceInUse",
      /currently in use by a listener or a rule/,
    );
    const other = await lab.balancer("other");
    await refused(listen(80, { LoadBalancerArn: other.LoadBalancerArn, DefaultActions: [forward(group)] }), "TargetGroupAssociationLimit");
    await close(made.ListenerArn);
    await listen(80, { LoadBalancerArn: other.LoadBalancerArn, DefaultActions: [forward(group)] }).then(({ ListenerArn }) =>
      close(ListenerArn),
    );
    await refused(close(made.ListenerArn), "ListenerNotFound");
  });

  test("what does not go together is refused", async () => {
    const tcp = await lab.targetGroup("tcp", { Protocol: "TCP" });
    const grpc = await lab.targetGroup("grpc", { ProtocolVersion: "GRPC" });
    const onNet = { LoadBalancerArn: net.LoadBalancerArn, Protocol: "TCP" as const };
    const cases: [Partial<CreateListenerCommandInput>, string, RegExp?][] = [
      [{ Protocol: "TCP" }, "UnsupportedProtocol"],
      [{ ...onNet, Protocol: "HTTP" }, "UnsupportedProtocol"],
      [{ ...onNet, Protocol: "UDP" }, "NotImplemented"],
      [{ Protocol: "HTTPS" }, "ValidationError", /certificate must be specified/],
      [{ Protocol: "HTTPS", Certificates: [{ CertificateArn: certificates[0]!.replace(/.$/, "x") }] }, "CertificateNotFound"],
      [{ Protocol: "HTTPS", Certificates: [{ CertificateArn: certificates[0] }], SslPolicy: "none" }, "SSLPolicyNotFound"],
      [{ Certificates: [{ CertificateArn: certificates[0] }] }, "InvalidConfigurationRequest"],
      [{ Port: 0 }, "ValidationError"],
      [{ DefaultActions: [] }, "ValidationError"],
      [{ DefaultActions: [forward(tcp)] }, "IncompatibleProtocols", /'HTTP' is not supported .* 'TCP'/],
      [{ DefaultActions: [forward(grpc)] }, "InvalidConfigurationRequest", /GRPC/],
      [{ ...onNet }, "InvalidLoadBalancerAction"],
      [{ ...onNet, DefaultActions: [forward(group)] }, "IncompatibleProtocols"],
      [{ DefaultActions: [forward(`${group.slice(0, -1)}x`)] }, "TargetGroupNotFound"],
      [{ DefaultActions: [forward(group, group)] }, "InvalidLoadBalancerAction"],
      [{ DefaultActions: [fixed("600")] }, "ValidationError"],
      [{ DefaultActions: [fixed(), fixed()] }, "InvalidLoadBalancerAction"],
      [
        { DefaultActions: [{ Type: "redirect", RedirectConfig: { StatusCode: "HTTP_301" } }] },
        "InvalidLoadBalancerAction",
        /creates a loop/,
      ],
      [{ DefaultActions: [{ Type: "redirect", RedirectConfig: { StatusCode: "HTTP_301", Path: "/#{user}" } }] }, "ValidationError"],
      [{ DefaultActions: [{ Type: "redirect", RedirectConfig: { StatusCode: "HTTP_301", Host: "a b" } }] }, "ValidationError"],
      [{ DefaultActions: [{ Type: "authenticate-oidc" }, fixed()] }, "NotImplemented", /authenticate-oidc/],
      [
        { DefaultActions: [{ Type: "forward", ForwardConfig: { TargetGroups: [{ TargetGroupArn: group, Weight: 1000 }] } }] },
        "ValidationError",
        /'1000' must be between/,
      ],
      [
        {
          DefaultActions: [
            {
              Type: "forward",
              ForwardConfig: { TargetGroups: [{ TargetGroupArn: group }], TargetGroupStickinessConfig: { Enabled: true } },
            },
          ],
        },
        "ValidationError",
        /duration/,
      ],
    ];
    for (const [input, code, message] of cases) await refused(listen(81, input), code, message);
    assert.deepEqual((await lab.elb.send(new DescribeListenersCommand({ LoadBalancerArn: web.LoadBalancerArn }))).Listeners, []);
  });

  test("certificates: a default one and others, in use while a listener has them", async () => {
    const [first, second] = certificates as [string, string];
    const made = await listen(443, { Protocol: "HTTPS", Certificates: [{ CertificateArn: first }] });
    assert.deepEqual(
      [made.SslPolicy, made.Certificates, made.MutualAuthentication],
      ["ELBSecurityPolicy-2016-08", [{ CertificateArn: first }], { Mode: "off" }],
    );
    const { ListenerArn } = made;
    const add = (arn: string) => lab.elb.send(new AddListenerCertificatesCommand({ ListenerArn, Certificates: [{ CertificateArn: arn }] }));
    const listed = async () => (await lab.elb.send(new DescribeListenerCertificatesCommand({ ListenerArn }))).Certificates;
    await add(second);
    await add(second);
    assert.deepEqual(await listed(), [
      { CertificateArn: first, IsDefault: true },
      { CertificateArn: second, IsDefault: false },
    ]);
    for (const arn of certificates) {
      const { Certificate } = await lab.acm.send(new DescribeCertificateCommand({ CertificateArn: arn }));
      assert.deepEqual(Certificate!.InUseBy, [web.LoadBalancerArn]);
      await refused(lab.acm.send(new DeleteCertificateCommand({ CertificateArn: arn })), "ResourceInUseException");
    }
    const remove = (arn: string) =>
      lab.elb.send(new RemoveListenerCertificatesCommand({ ListenerArn, Certificates: [{ CertificateArn: arn }] }));
    await refused(remove(first), "OperationNotPermitted");
    // The other one becomes the default and is no longer beside it.
    await lab.elb.send(
      new ModifyListenerCommand({
        ListenerArn,
        Certificates: [{ CertificateArn: second }],
        SslPolicy: "ELBSecurityPolicy-TLS13-1-3-2021-06",
      }),
    );
    assert.deepEqual(await listed(), [{ CertificateArn: second, IsDefault: true }]);
    await add(first);
    await remove(first);
    const { Listeners } = await lab.elb.send(new DescribeListenersCommand({ ListenerArns: [ListenerArn!] }));
    assert.equal(Listeners![0]!.SslPolicy, "ELBSecurityPolicy-TLS13-1-3-2021-06");
    const plain = await lab.elb.send(new ModifyListenerCommand({ ListenerArn, Protocol: "HTTP", Port: 8443 }));
    assert.deepEqual(
      [plain.Listeners![0]!.Certificates, plain.Listeners![0]!.SslPolicy, plain.Listeners![0]!.Port],
      [undefined, undefined, 8443],
    );
    await close(ListenerArn);
  });

  test("attributes", async () => {
    const made = await listen(85);
    const { ListenerArn } = made;
    const Attributes = [{ Key: "routing.http.response.server.enabled", Value: "false" }];
    await lab.elb.send(new ModifyListenerAttributesCommand({ ListenerArn, Attributes }));
    const { Attributes: all } = await lab.elb.send(new DescribeListenerAttributesCommand({ ListenerArn }));
    assert.ok(all!.some(({ Key, Value }) => Key === Attributes[0]!.Key && Value === "false"));
    const line = { Key: "routing.http.response.x_frame_options.header_value", Value: "DENY\r\nX-Evil: 1" };
    await refused(lab.elb.send(new ModifyListenerAttributesCommand({ ListenerArn, Attributes: [line] })), "InvalidConfigurationRequest");
    await close(ListenerArn);
  });
});

describe("rules", () => {
  let listener: string;
  before(async () => {
    listener = (await listen(8080)).ListenerArn!;
  });

  test("in the order of their priorities, the default one last; priorities change places in one step", async () => {
    const [b, a] = [await rule(listener, 20), await rule(listener, 10)];
    const priorities = async () => (await rules(listener)).map(({ RuleArn, Priority }) => [RuleArn, Priority]);
    const [, , last] = await rules(listener);
    assert.deepEqual([last!.Priority, last!.IsDefault, last!.Conditions], ["default", true, []]);
    assert.deepEqual(await priorities(), [
      [a.RuleArn, "10"],
      [b.RuleArn, "20"],
      [last!.RuleArn, "default"],
    ]);
    await refused(rule(listener, 10), "PriorityInUse", /Priority '10' is currently in use/);
    await refused(rule(listener, 0), "ValidationError");
    await refused(rule(listener, 50_001), "ValidationError");
    const set = (...pairs: (readonly [string | undefined, number])[]) =>
      lab.elb.send(new SetRulePrioritiesCommand({ RulePriorities: pairs.map(([RuleArn, Priority]) => ({ RuleArn, Priority })) }));
    await refused(set([a.RuleArn, 20]), "PriorityInUse");
    await refused(set([a.RuleArn, 30], [b.RuleArn, 30]), "PriorityInUse");
    await refused(set([last!.RuleArn, 30]), "OperationNotPermitted");
    await set([a.RuleArn, 20], [b.RuleArn, 10]);
    assert.deepEqual(await priorities(), [
      [b.RuleArn, "10"],
      [a.RuleArn, "20"],
      [last!.RuleArn, "default"],
    ]);
    await refused(lab.elb.send(new DeleteRuleCommand({ RuleArn: last!.RuleArn })), "OperationNotPermitted");
    await lab.elb.send(new ModifyRuleCommand({ RuleArn: last!.RuleArn, Actions: [fixed("404")] }));
    const { Listeners } = await lab.elb.send(new DescribeListenersCommand({ ListenerArns: [listener] }));
    assert.equal(Listeners![0]!.DefaultActions![0]!.FixedResponseConfig!.StatusCode, "404");
    assert.deepEqual((await lab.elb.send(new DescribeTagsCommand({ ResourceArns: [last!.RuleArn!] }))).TagDescriptions![0]!.Tags, []);
    const { Rules } = await lab.elb.send(new DescribeRulesCommand({ RuleArns: [a.RuleArn!] }));
    assert.deepEqual(
      Rules!.map(({ RuleArn }) => RuleArn),
      [a.RuleArn],
    );
    for (const { RuleArn } of [a, b]) await lab.elb.send(new DeleteRuleCommand({ RuleArn }));
    await refused(lab.elb.send(new DeleteRuleCommand({ RuleArn: a.RuleArn })), "RuleNotFound");
  });

  test("conditions come back as they went in", async () => {
    const conditions: RuleCondition[] = [
      { Field: "host-header", HostHeaderConfig: { Values: ["*.example.com"] } },
      { Field: "http-header", HttpHeaderConfig: { HttpHeaderName: "X-A", Values: ["a*"] } },
      { Field: "http-request-method", HttpRequestMethodConfig: { Values: ["GET"] } },
      { Field: "query-string", QueryStringConfig: { Values: [{ Key: "v", Value: "1" }] } },
      { Field: "source-ip", SourceIpConfig: { Values: ["10.0.0.0/8"] } },
    ];
    const made = await rule(listener, 7, conditions);
    assert.deepEqual(made.Conditions, [{ ...conditions[0], Values: ["*.example.com"] }, ...conditions.slice(1)]);
    await lab.elb.send(new ModifyRuleCommand({ RuleArn: made.RuleArn, Conditions: [path("/a", "/b/*")] }));
    const [found] = await rules(listener);
    assert.deepEqual(found!.Conditions, [{ Field: "path-pattern", Values: ["/a", "/b/*"], PathPatternConfig: { Values: ["/a", "/b/*"] } }]);
    assert.deepEqual(found!.Actions, made.Actions);
    await lab.elb.send(new DeleteRuleCommand({ RuleArn: made.RuleArn }));
  });

  test("conditions that are wrong are refused", async () => {
    const cases: [RuleCondition[], RegExp][] = [
      [[], /condition must be specified/],
      [[{ Field: "none" }], /must be one of/],
      [[{ Field: "path-pattern" }], /value must be specified/],
      [[path("/a b")], /not valid/],
      [[path("")], /empty/],
      [[path(`/${"x".repeat(128)}`)], /longer than '128'/],
      [[path("/1", "/2", "/3", "/4", "/5", "/6")], /cannot exceed '5'/],
      [[path("/*/*/*/*"), { Field: "host-header", Values: ["*.*.*.a"] }], /wildcards/],
      [[path("/a"), path("/b")], /Only one condition/],
      [[{ Field: "host-header", PathPatternConfig: { Values: ["/"] } }], /cannot be specified for the field/],
      [[{ Field: "host-header", Values: ["a/b"] }], /not valid/],
      [[{ Field: "http-header", HttpHeaderConfig: { HttpHeaderName: "Host", Values: ["a"] } }], /host-header/],
      [[{ Field: "http-header", HttpHeaderConfig: { HttpHeaderName: "a b", Values: ["a"] } }], /not valid/],
      [[{ Field: "http-header", HttpHeaderConfig: { HttpHeaderName: "A", Values: ["a\nb"] } }], /not valid/],
      [[{ Field: "http-request-method", HttpRequestMethodConfig: { Values: ["get"] } }], /not valid/],
      [[{ Field: "source-ip", SourceIpConfig: { Values: ["10.0.0.1"] } }], /CIDR/],
      [[{ Field: "source-ip", SourceIpConfig: { Values: ["10.0.0.0/33"] } }], /CIDR/],
      [[{ Field: "query-string", QueryStringConfig: { Values: [] } }], /value must be specified/],
    ];
    for (const [conditions, message] of cases) await refused(rule(listener, 9, conditions), "ValidationError", message);
    await refused(rule(listener, 9, [{ Field: "path-pattern", PathPatternConfig: { RegexValues: ["^/a"] } }]), "NotImplemented");
    assert.equal((await rules(listener)).length, 1);
  });

  test("a hundred of them are all that a load balancer has; they go with their listener", async () => {
    for (let at = 0; at < 100; at += 25) await Promise.all(Array.from({ length: 25 }, (_, more) => rule(listener, at + more + 1)));
    await refused(rule(listener, 200), "TooManyRules");
    const seen: string[] = [];
    let Marker: string | undefined;
    do {
      const one = await lab.elb.send(new DescribeRulesCommand({ ListenerArn: listener, PageSize: 40, Marker }));
      seen.push(...one.Rules!.map(({ Priority }) => Priority!));
      Marker = one.NextMarker;
    } while (Marker !== undefined);
    assert.deepEqual(seen, [...Array.from({ length: 100 }, (_, at) => String(at + 1)), "default"]);
    await close(listener);
    assert.deepEqual(
      (await lab.server.deps.store.list("/elb/")).entries.filter(({ key }) => /\/(rule|listener)\//.test(key)),
      [],
    );
  });
});

describe("target groups", () => {
  const create = (input: Parameters<Lab["targetGroup"]>[1]) => lab.targetGroup("tg", input);

  test("defaults by protocol; the same again is the same; changes", async () => {
    const read = async (arn: string) => (await lab.elb.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [arn] }))).TargetGroups![0]!;
    const http = await create({});
    const { LoadBalancerArns, HealthCheckPath, HealthCheckTimeoutSeconds, Matcher, ProtocolVersion, HealthCheckPort } = await read(http);
    assert.deepEqual(
      [LoadBalancerArns, HealthCheckPath, HealthCheckTimeoutSeconds, Matcher, ProtocolVersion, HealthCheckPort],
      [[], "/", 5, { HttpCode: "200" }, "HTTP1", "traffic-port"],
    );
    assert.equal(await create({}), http);
    await refused(create({ Port: 81 }), "DuplicateTargetGroupName");
    const tcp = await read(await lab.targetGroup("tg-tcp", { Protocol: "TCP" }));
    assert.deepEqual(
      [tcp.HealthCheckProtocol, tcp.HealthCheckTimeoutSeconds, tcp.Matcher, tcp.ProtocolVersion],
      ["TCP", 10, undefined, undefined],
    );
    const modify = (input: object) => lab.elb.send(new ModifyTargetGroupCommand({ TargetGroupArn: http, ...input }));
    await modify({ HealthCheckPath: "/h", Matcher: { HttpCode: "200,201-204" }, HealthyThresholdCount: 2 });
    const changed = await read(http);
    assert.deepEqual(
      [changed.HealthCheckPath, changed.Matcher, changed.HealthyThresholdCount, changed.HealthCheckIntervalSeconds],
      ["/h", { HttpCode: "200,201-204" }, 2, 30],
    );
    await refused(modify({ HealthCheckTimeoutSeconds: 30 }), "ValidationError", /smaller than the interval/);
    await refused(modify({ Matcher: { HttpCode: "204-200" } }), "ValidationError");
    await refused(modify({ HealthCheckProtocol: "TCP" }), "ValidationError");
    for (const arn of [http, tcp.TargetGroupArn!]) await lab.elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: arn }));
    await refused(read(http), "TargetGroupNotFound");
    await lab.elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: http }));
  });

  test("what is refused", async () => {
    const cases: [Parameters<Lab["targetGroup"]>[1], string, RegExp?][] = [
      [{ TargetType: "lambda" }, "NotImplemented"],
      [{ Protocol: "GENEVE" }, "NotImplemented"],
      [{ Protocol: undefined }, "ValidationError"],
      [{ Port: undefined }, "ValidationError"],
      [{ Port: 65_536 }, "ValidationError"],
      [{ VpcId: undefined }, "ValidationError"],
      [{ VpcId: "vpc-0123456789abcdef0" }, "ValidationError", /not found/],
      [{ ProtocolVersion: "HTTP3" }, "ValidationError"],
      [{ Protocol: "TCP", ProtocolVersion: "HTTP1" }, "ValidationError"],
      [{ TargetType: "alb" }, "InvalidConfigurationRequest"],
      [{ HealthCheckEnabled: false }, "InvalidConfigurationRequest"],
      [{ HealthCheckPath: "h" }, "ValidationError"],
      [{ HealthCheckIntervalSeconds: 4 }, "ValidationError"],
      [{ HealthyThresholdCount: 11 }, "ValidationError"],
      [{ HealthCheckPort: "x" }, "ValidationError"],
    ];
    for (const [input, code, message] of cases) await refused(create(input), code, message);
  });

  test("attributes by kind", async () => {
    const read = async (TargetGroupArn: string) =>
      new Map(
        (await lab.elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }))).Attributes!.map(({ Key, Value }) => [
          Key!,
          Value!,
        ]),
      );
    const http = await create({});
    const tcp = await lab.targetGroup("tg-tcp", { Protocol: "TCP" });
    assert.deepEqual([(await read(http)).get("stickiness.type"), (await read(tcp)).get("stickiness.type")], ["lb_cookie", "source_ip"]);
    assert.deepEqual(
      [(await read(http)).has("proxy_protocol_v2.enabled"), (await read(tcp)).get("preserve_client_ip.enabled")],
      [false, "false"],
    );
    const set = (TargetGroupArn: string, values: Record<string, string>) =>
      lab.elb.send(
        new ModifyTargetGroupAttributesCommand({
          TargetGroupArn,
          Attributes: Object.entries(values).map(([Key, Value]) => ({ Key, Value })),
        }),
      );
    await refused(set(http, { "slow_start.duration_seconds": "29" }), "InvalidConfigurationRequest");
    await refused(set(http, { "proxy_protocol_v2.enabled": "true" }), "InvalidConfigurationRequest");
    await refused(
      set(http, { "stickiness.enabled": "true", "stickiness.type": "app_cookie" }),
      "InvalidConfigurationRequest",
      /cookie_name/,
    );
    await refused(set(http, { "stickiness.app_cookie.cookie_name": "AWSALBx" }), "InvalidConfigurationRequest");
    await refused(
      set(http, { "slow_start.duration_seconds": "30", "load_balancing.algorithm.type": "least_outstanding_requests" }),
      "InvalidConfigurationRequest",
      /Slow start/,
    );
    await set(http, { "deregistration_delay.timeout_seconds": "0", "slow_start.duration_seconds": "900" });
    assert.equal((await read(http)).get("slow_start.duration_seconds"), "900");
  });
});
