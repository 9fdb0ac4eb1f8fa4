/** AssumeRoleWithWebIdentity against an issuer of our own, on loopback. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import * as IamSdk from "@aws-sdk/client-iam";
import * as Sdk from "@aws-sdk/client-sts";
import { account, allow, type Iam, said, sdkCredentials, startIam, trust } from "../iam/support.ts";

const keys = {
  rsa: { ...generateKeyPairSync("rsa", { modulusLength: 2048 }), alg: "RS256" },
  ec: { ...generateKeyPairSync("ec", { namedCurve: "P-256" }), alg: "ES256" },
  late: { ...generateKeyPairSync("ec", { namedCurve: "P-256" }), alg: "ES256" },
  stranger: { ...generateKeyPairSync("rsa", { modulusLength: 2048 }), alg: "RS256" },
};

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

function jwt(claims: object, kid: keyof typeof keys = "rsa", header: object = {}): string {
  const { alg, privateKey } = keys[kid];
  const signed = `${part({ alg, kid, typ: "JWT", ...header })}.${part(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), { key: privateKey as KeyObject, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

let it_: Iam;
let issuer: Server;
let url: string;
/** What the issuer publishes, and how often it was asked. */
const published: (keyof typeof keys)[] = ["rsa", "ec"];
let asked = 0;

before(async () => {
  issuer = createServer((request, response) => {
    asked++;
    const body =
      request.url === "/realm/.well-known/openid-configuration"
        ? { issuer: url, jwks_uri: `${url}/keys` }
        : request.url === "/realm/keys"
          ? { keys: published.map((kid) => ({ ...keys[kid].publicKey.export({ format: "jwk" }), kid, use: "sig" })) }
          : request.url === "/liar/.well-known/openid-configuration"
            ? { issuer: url, jwks_uri: `${url}/keys` }
            : undefined;
    response.writeHead(body ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(body ?? {}));
  });
  await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  url = `${base}/realm`;
  it_ = await startIam({ config: { oidcIssuers: [{ url: `${base}/liar`, clientIds: ["app"] }] } });
  await it_.iam.send(new IamSdk.CreateOpenIDConnectProviderCommand({ Url: url, ClientIDList: ["app", "cli"] }));
  await it_.iam.send(
    new IamSdk.CreateRoleCommand({
      RoleName: "ci",
      AssumeRolePolicyDocument: trust({ Federated: providerArn() }, ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"], {
        StringEquals: { [`${name()}:aud`]: "app" },
        StringLike: { [`${name()}:sub`]: "repo:shop/*" },
      }),
    }),
  );
});
after(async () => {
  await it_.close();
  await new Promise((resolve) => issuer.close(resolve));
});

const name = () => url.replace("http://", "");
const providerArn = () => `arn:aws:iam::${account}:oidc-provider/${name()}`;
const now = () => Math.floor(Date.now() / 1000);
const claims = (more: object = {}) => ({ iss: url, aud: "app", sub: "repo:shop/web", iat: now() - 5, exp: now() + 300, ...more });

/** Nobody signs this. */
async function assume(WebIdentityToken: string, more: Partial<Sdk.AssumeRoleWithWebIdentityCommandInput> = {}) {
  const client = new Sdk.STSClient({ endpoint: it_.server.endpoint, region: "us-east-1", maxAttempts: 1 });
  try {
    return await client.send(
      new Sdk.AssumeRoleWithWebIdentityCommand({
        RoleArn: `arn:aws:iam::${account}:role/ci`,
        RoleSessionName: "run-1",
        WebIdentityToken,
        ...more,
      }),
    );
  } finally {
    client.destroy();
  }
}

describe("AssumeRoleWithWebIdentity", () => {
  for (const kid of ["rsa", "ec"] as const)
    it(`a token signed by ${keys[kid].alg} is a role`, async () => {
      const answer = await assume(jwt(claims(), kid), { Policy: allow("ecs:*") });
      assert.deepEqual(
        [answer.SubjectFromWebIdentityToken, answer.Audience, answer.Provider, answer.AssumedRoleUser?.Arn],
        ["repo:shop/web", "app", providerArn(), `arn:aws:sts::${account}:assumed-role/ci/run-1`],
      );
      const me = await it_.as(sdkCredentials(answer.Credentials!)).sts.send(new Sdk.GetCallerIdentityCommand());
      assert.equal(me.Arn, `arn:aws:sts::${account}:assumed-role/ci/run-1`);
    });

  it("the issuer is asked once, and again for a key that it has since", async () => {
    const before_ = asked;
    for (let i = 0; i < 5; i++) await assume(jwt(claims()));
    assert.equal(asked, before_);
    await assert.rejects(assume(jwt(claims(), "late")), said("InvalidIdentityTokenException", /Couldn't find a key/));
  });

  it("what is not the issuer's, not for us, or not now is refused", async () => {
    const unsigned = `${part({ alg: "none" })}.${part(claims())}.`;
    // The public key as the secret of an HMAC: the oldest trick.
    const refused: [string, string, RegExp][] = [
      ["no-token-at-all", "InvalidIdentityTokenException", /not a valid JWT/],
      [unsigned, "InvalidIdentityTokenException", /RS256 or ES256/],
      [jwt(claims(), "rsa", { alg: "HS256" }), "InvalidIdentityTokenException", /RS256 or ES256/],
      [jwt(claims(), "rsa", { kid: "ec", alg: "ES256" }), "InvalidIdentityTokenException", /signature invalid/],
      [jwt(claims(), "stranger", { kid: "rsa" }), "InvalidIdentityTokenException", /^Token signature invalid\.$/],
      [
        `${jwt(claims()).split(".")[0]}.${part(claims({ sub: "repo:shop/x" }))}.${jwt(claims()).split(".")[2]}`,
        "InvalidIdentityTokenException",
        /signature/,
      ],
      [jwt(claims({ exp: now() - 1 })), "ExpiredTokenException", /^Token expired: current date\/time \d+ must be before/],
      [jwt(claims({ nbf: now() + 3600 })), "InvalidIdentityTokenException", /nbf/],
      [jwt(claims({ exp: undefined })), "InvalidIdentityTokenException", /exp/],
      [jwt(claims({ aud: "other" })), "InvalidIdentityTokenException", /^Incorrect token audience$/],
      [jwt(claims({ aud: ["app", "x"], azp: "x" })), "InvalidIdentityTokenException", /audience/],
      [
        jwt(claims({ iss: "https://token.example.com" })),
        "InvalidIdentityTokenException",
        /^No OpenIDConnect provider found in your account for https:\/\/token\.example\.com$/,
      ],
      [jwt(claims({ iss: url.replace("/realm", "/liar") })), "IDPCommunicationErrorException", /another issuer/],
      [jwt(claims({ sub: undefined })), "InvalidIdentityTokenException", /sub/],
      [jwt(claims({ sub: "repo:else/web" })), "AccessDenied", /^Not authorized to perform sts:AssumeRoleWithWebIdentity$/],
      [jwt(claims({ aud: "cli" })), "AccessDenied", /^Not authorized/],
    ];
    for (const [token, code, message] of refused) await assert.rejects(assume(token), said(code, message), message.source);
    await assert.rejects(
      assume(jwt(claims()), { RoleArn: `arn:aws:iam::${account}:role/nowhere` }),
      said("AccessDenied", /^Not authorized/),
    );
  });

  it("tags of the token are the session's", async () => {
    const tags = { "https://aws.amazon.com/tags": { principal_tags: { team: ["a"] }, transitive_tag_keys: ["team"] } };
    const { Credentials } = await assume(jwt(claims(tags)));
    await it_.iam.send(
      new IamSdk.CreateRoleCommand({
        RoleName: "team-a",
        AssumeRolePolicyDocument: trust({ AWS: `arn:aws:iam::${account}:role/ci` }, ["sts:AssumeRole", "sts:TagSession"], {
          StringEquals: { "aws:PrincipalTag/team": "a" },
        }),
      }),
    );
    const { sts } = it_.as(sdkCredentials(Credentials!));
    await sts.send(new Sdk.AssumeRoleCommand({ RoleArn: `arn:aws:iam::${account}:role/team-a`, RoleSessionName: "next" }));
    const plain = it_.as(sdkCredentials((await assume(jwt(claims()))).Credentials!));
    await assert.rejects(
      plain.sts.send(new Sdk.AssumeRoleCommand({ RoleArn: `arn:aws:iam::${account}:role/team-a`, RoleSessionName: "next" })),
      said("AccessDenied", /not authorized/),
    );
  });

  it("no other operation goes without a signature", async () => {
    const answer = await fetch(it_.server.endpoint, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "Action=GetCallerIdentity&Version=2011-06-15",
    });
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /MissingAuthenticationToken/);
  });
});
