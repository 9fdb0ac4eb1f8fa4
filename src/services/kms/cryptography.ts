import { randomBytes } from "node:crypto";
import type * as Sdk from "@aws-sdk/client-kms";
import type { KeyRecord } from "#model/secrets-records.ts";
import { type EncryptionContext, readHeader } from "#reconcilers/secrets/ciphertext.ts";
import { decryptWith, encryptWith } from "#reconcilers/secrets/keys.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { checkUsable, needKey, needOrMakeKey } from "./lookup.ts";

/** Cryptographic operations. Plaintexts pass through and are kept nowhere. Source: AWS KMS API Reference. */

const mostPlaintext = 4096;
const mostCiphertext = 6144;
const mostRandom = 1024;

export async function encrypt(change: Change, input: Sdk.EncryptRequest): Promise<Sdk.EncryptResponse> {
  checkAlgorithm(input.EncryptionAlgorithm);
  const plaintext = checkSize("plaintext", input.Plaintext, mostPlaintext);
  const key = checkUsable(await needOrMakeKey(change, input.KeyId));
  if (input.DryRun) throw errors.dryRun();
  return {
    KeyId: key.arn,
    CiphertextBlob: encryptWith(change, key, contextOf(input.EncryptionContext), plaintext),
    EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
  };
}

export async function decrypt(records: Records, input: Sdk.DecryptRequest): Promise<Sdk.DecryptResponse> {
  checkAlgorithm(input.EncryptionAlgorithm);
  if (input.Recipient) throw errors.notYet("Nitro Enclaves' attestation");
  const { key, plaintext } = await openBlob(records, input.CiphertextBlob, input.KeyId, contextOf(input.EncryptionContext), input.DryRun);
  return { KeyId: key.arn, Plaintext: plaintext, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" };
}

export async function reEncrypt(change: Change, input: Sdk.ReEncryptRequest): Promise<Sdk.ReEncryptResponse> {
  checkAlgorithm(input.SourceEncryptionAlgorithm);
  checkAlgorithm(input.DestinationEncryptionAlgorithm);
  const source = await openBlob(change, input.CiphertextBlob, input.SourceKeyId, contextOf(input.SourceEncryptionContext));
  const key = checkUsable(await needOrMakeKey(change, input.DestinationKeyId));
  if (input.DryRun) throw errors.dryRun();
  return {
    CiphertextBlob: encryptWith(change, key, contextOf(input.DestinationEncryptionContext), source.plaintext),
    SourceKeyId: source.key.arn,
    KeyId: key.arn,
    SourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
    DestinationEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
  };
}

export async function generateDataKey(change: Change, input: Sdk.GenerateDataKeyRequest): Promise<Sdk.GenerateDataKeyResponse> {
  if (input.Recipient) throw errors.notYet("Nitro Enclaves' attestation");
  const key = checkUsable(await needOrMakeKey(change, input.KeyId));
  const size = dataKeySize(input);
  if (input.DryRun) throw errors.dryRun();
  const plaintext = randomBytes(size);
  return { KeyId: key.arn, Plaintext: plaintext, CiphertextBlob: encryptWith(change, key, contextOf(input.EncryptionContext), plaintext) };
}

export async function generateDataKeyWithoutPlaintext(
  change: Change,
  input: Sdk.GenerateDataKeyWithoutPlaintextRequest,
): Promise<Sdk.GenerateDataKeyWithoutPlaintextResponse> {
  const { KeyId, CiphertextBlob } = await generateDataKey(change, input);
  return { KeyId, CiphertextBlob };
}

export async function generateRandom(_records: Records, input: Sdk.GenerateRandomRequest): Promise<Sdk.GenerateRandomResponse> {
  if (input.CustomKeyStoreId || input.Recipient) throw errors.notYet("custom key stores");
  const count = input.NumberOfBytes;
  if (count === undefined || !Number.isInteger(count) || count < 1 || count > mostRandom)
    throw errors.constraint("numberOfBytes", count ?? null, `Member must have value between 1 and ${mostRandom}`);
  return { Plaintext: randomBytes(count) };
}

async function openBlob(
  records: Records,
  given: Uint8Array | undefined,
  keyId: string | undefined,
  context: EncryptionContext,
  dryRun = false,
): Promise<{ readonly key: KeyRecord; readonly plaintext: Buffer }> {
  const blob = checkSize("ciphertextBlob", given, mostCiphertext);
  const header = readHeader(blob);
  if (!header?.arn.startsWith("arn:aws:kms:")) throw errors.badCiphertext();
  const asked = keyId === undefined ? undefined : await needKey(records, keyId);
  if (asked && asked.arn !== header.arn) throw errors.wrongKey();
  const key = checkUsable(asked ?? (await needKey(records, header.arn)));
  const plaintext = decryptWith(records, key, context, blob);
  if (!plaintext) throw errors.badCiphertext();
  if (dryRun) throw errors.dryRun();
  return { key, plaintext };
}

function dataKeySize({ KeySpec, NumberOfBytes }: Pick<Sdk.GenerateDataKeyRequest, "KeySpec" | "NumberOfBytes">): number {
  if ((KeySpec === undefined) === (NumberOfBytes === undefined)) throw errors.invalid("Please specify either number of bytes or key spec.");
  if (NumberOfBytes !== undefined) {
    if (!Number.isInteger(NumberOfBytes) || NumberOfBytes < 1 || NumberOfBytes > mostRandom)
      throw errors.constraint("numberOfBytes", NumberOfBytes, `Member must have value between 1 and ${mostRandom}`);
    return NumberOfBytes;
  }
  if (KeySpec === "AES_256") return 32;
  if (KeySpec === "AES_128") return 16;
  throw errors.constraint("keySpec", KeySpec, "Member must satisfy enum value set: [AES_256, AES_128]");
}

function checkSize(member: string, bytes: Uint8Array | undefined, most: number): Uint8Array {
  if (bytes === undefined || bytes.length < 1 || bytes.length > most)
    throw errors.constraint(member, "", `Member must have length between 1 and ${most}`);
  return bytes;
}

function checkAlgorithm(name = "SYMMETRIC_DEFAULT"): void {
  if (name !== "SYMMETRIC_DEFAULT") throw errors.badUsage(`The key's algorithm is SYMMETRIC_DEFAULT, not ${name}.`);
}

function contextOf(context: Readonly<Record<string, string>> = {}): EncryptionContext {
  if (JSON.stringify(context).length > 8192) throw errors.invalid("The encryption context is longer than 8192 characters.");
  return context;
}
