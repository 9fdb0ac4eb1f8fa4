import type { IamOperations } from "#api/generated/iam.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { asking, type IamDeps, need } from "./context.ts";
import { errors } from "./errors.ts";

/**
 * What IAM has and Gantry cannot hold: passwords, MFA devices, SSH keys, certificates, SAML. The operations that make them are not there, so these
 * answers are true: there are none. Clients ask for them before they delete a user.
 */
export function absent(deps: IamDeps) {
  const ofUser = <O>(answer: O) =>
    asking(deps, async (question, { UserName }: { readonly UserName?: string }) => {
      if (UserName !== undefined) await need(question, "user", UserName);
      return answer;
    });
  const noLogin = asking(deps, async (question, { UserName }: { readonly UserName?: string }) => {
    const user = await need(question, "user", UserName);
    throw errors.noSuchEntity(`Login Profile for User ${user.name} cannot be found.`);
  });
  return {
    GetLoginProfile: noLogin as unknown as Handlers<IamOperations>["GetLoginProfile"],
    DeleteLoginProfile: noLogin as unknown as Handlers<IamOperations>["DeleteLoginProfile"],
    GetAccountPasswordPolicy: asking(deps, async ({ account }) => {
      throw errors.noSuchEntity(`The Password Policy with domain name ${account} cannot be found.`);
    }) as unknown as Handlers<IamOperations>["GetAccountPasswordPolicy"],
    ListMFADevices: ofUser({ MFADevices: [], IsTruncated: false }),
    ListVirtualMFADevices: async () => ({ VirtualMFADevices: [], IsTruncated: false }),
    ListSSHPublicKeys: ofUser({ SSHPublicKeys: [], IsTruncated: false }),
    ListSigningCertificates: ofUser({ Certificates: [], IsTruncated: false }),
    ListServiceSpecificCredentials: ofUser({ ServiceSpecificCredentials: [] }),
    ListServerCertificates: async () => ({ ServerCertificateMetadataList: [], IsTruncated: false }),
    ListSAMLProviders: async () => ({ SAMLProviderList: [] }),
  } satisfies Handlers<IamOperations>;
}
