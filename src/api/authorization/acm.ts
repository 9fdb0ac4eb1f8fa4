import { each, none, type ServiceActions } from "./table.ts";

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Certificate Manager". */
export const acm: ServiceActions = {
  prefix: "acm",
  operations: {
    ...each(
      "{CertificateArn}",
      `AddTagsToCertificate RemoveTagsFromCertificate DeleteCertificate DescribeCertificate GetCertificate ListTagsForCertificate
      UpdateCertificateOptions ExportCertificate RenewCertificate ResendValidationEmail`,
    ),
    ...each(none, "ListCertificates GetAccountConfiguration PutAccountConfiguration"),
    RequestCertificate: { on: "certificate/*", tagging: { action: "AddTagsToCertificate" } },
    ImportCertificate: { on: "certificate/{CertificateArn=*}", tagging: { action: "AddTagsToCertificate" } },
  },
};
